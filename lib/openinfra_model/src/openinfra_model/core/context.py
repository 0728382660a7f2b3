"""What runs on units, and what its tools have written until it is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from openinfra_model.core.entities import Grant, Hook, Port

RunKind = Literal["hook", "action", "exec"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HookRun:
    """What a unit would run next. `name` is the hook's, the action's, or juju-exec.

    At most one run at a time on a machine, except that runs marked `parallel` may run with other parallel runs of the
    same `execution_group`. `dispatch` is JUJU_DISPATCH_PATH, empty for a command. `local` marks a command that somebody on
    the machine runs by `juju-exec`.
    """

    unit: str
    machine: str
    kind: RunKind
    name: str
    hook: Hook | None = None
    task: str = ""
    parallel: bool = False
    local: bool = False
    execution_group: str = ""

    @property
    def dispatch(self) -> str:
        """JUJU_DISPATCH_PATH, empty for a command."""
        return {"hook": f"hooks/{self.name}", "action": f"actions/{self.name}", "exec": ""}[self.kind]


@dataclass(frozen=True, kw_only=True, slots=True)
class HookContext:
    """What the caller needs to run it.

    `charm` is the URL whose archive must be unpacked in `working_directory`; `command` is the shell text of an exec,
    otherwise `./dispatch` is run. `timeout` is in seconds.
    """

    id: str
    run: HookRun
    charm: str
    environment: dict[str, str]
    working_directory: str
    command: str = ""
    timeout: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Exit:
    """How a process ended; what actions and commands printed is a part of their results.

    `problem` says why there was no process.
    """

    code: int
    problem: str = ""
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """How it ended: `failed` says that the unit is now in error, or that the task failed, and why."""

    failed: bool
    message: str = ""


@dataclass(kw_only=True, slots=True)
class SecretChange:
    """What a hook changes of one secret; None leaves a field as it is. `owner` is set for a new secret.

    `removed` lists revisions; None among them means all. `follows` says that the unit reads the new content from now on.
    """

    owner: str = ""
    content: dict[str, str] | None = None
    label: str | None = None
    description: str | None = None
    rotation: str | None = None
    expires: float | None = None
    grants: list[Grant] = field(default_factory=list["Grant"])
    revoked: list[str] = field(default_factory=list[str])
    removed: list[int | None] = field(default_factory=list["int | None"])
    follows: bool = False


@dataclass(kw_only=True, slots=True)
class RunningHook:
    """A context with what its tools have written so far; it is committed when the run succeeds.

    `members` are the remote units of each relation that the charm knows of in this hook. `relation_gone` says that the
    model no longer has the relation that the hook is about.
    """

    context: HookContext
    config_seen: str
    members: dict[int, list[str]]
    relation_gone: bool = False
    unit_settings: dict[int, dict[str, str]] = field(default_factory=dict[int, dict[str, str]])
    application_settings: dict[int, dict[str, str]] = field(default_factory=dict[int, dict[str, str]])
    opened: list[Port] = field(default_factory=list["Port"])
    closed: list[Port] = field(default_factory=list["Port"])
    secrets: dict[str, SecretChange] = field(default_factory=dict[str, SecretChange])
    new_storage: dict[str, int] = field(default_factory=dict[str, int])
    charm_state: dict[str, str] | None = None
    reboot: bool = False
    results: dict[str, Any] = field(default_factory=dict[str, Any])
    failure: str | None = None

    @property
    def run(self) -> HookRun:
        """What runs."""
        return self.context.run

    @property
    def unit(self) -> str:
        """The unit it runs on."""
        return self.context.run.unit
