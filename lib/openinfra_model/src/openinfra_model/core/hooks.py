"""Hooks, actions and commands from their beginning to the commit of what they wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from openinfra_model.core.entities import Hook


@dataclass(frozen=True, kw_only=True, slots=True)
class HookRun:
    """What a unit would run next. `name` is the hook's, the action's, or juju-exec.

    At most one run at a time on a machine, except that runs marked `parallel` (always actions) may run with other
    parallel runs of the same `execution_group` or none.
    """

    unit: str
    machine: str
    kind: Literal["hook", "action", "exec"]
    name: str
    hook: Hook | None = None
    task: str = ""
    parallel: bool = False
    execution_group: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class HookContext:
    """What the caller needs to run it.

    `charm` is the URL whose archive must be unpacked in `working_directory`; `command` is the shell text of an exec,
    otherwise `./dispatch` is run. The environment is whole but for what the machine adds (TERM, PWD, LANG).
    """

    id: str
    run: HookRun
    charm: str
    environment: dict[str, str]
    working_directory: str
    command: str = ""
    timeout: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """How it ended: `failed` says that the unit is now in error (or the task failed), and why."""

    failed: bool
    message: str = ""
