"""A tiny world around the pure core: machines that are there at once, and a Python function in place of charms."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openinfra_model.charm import (
    ActionSpec,
    Base,
    Charm,
    Endpoint,
    Option,
    OptionType,
    ResourceSpec,
    StorageSpec,
)
from openinfra_model.core import (
    Core,
    Ids,
    State,
    actions,
    applications,
    machines,
    models,
    relations,
    show,
    storage,
    timers,
)
from openinfra_model.core.entities import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from openinfra_model.core import Finished, HookContext, HookRun, ToolResult

BASE = "ubuntu@24.04"


def charm(name: str, *, subordinate: bool = False, **parts: Any) -> Charm:
    """Make a charm from short words: provides={"db": "sql"}, requires=..., peers=..., config={"size": 3}, ..."""
    endpoints = {"juju-info": Endpoint(name="juju-info", role="provides", interface="juju-info")}
    for role in ("provides", "requires", "peers"):
        for endpoint, interface in parts.get(role, {}).items():
            scope = "container" if subordinate and role == "requires" else "global"
            endpoints[endpoint] = Endpoint(name=endpoint, role=role, interface=interface, scope=scope)
    kinds: dict[type, OptionType] = {bool: "boolean", int: "int", float: "float", str: "string"}
    config = {
        key: Option(name=key, type=kinds[type(default)], default=default)
        for key, default in parts.get("config", {}).items()
    }
    return Charm(
        name=name,
        summary=name,
        description=name,
        subordinate=subordinate,
        bases=(Base(name="ubuntu", channel="24.04"),),
        endpoints=endpoints,
        config=config,
        actions={
            action: ActionSpec(name=action, description=action, schema=schema)
            for action, schema in parts.get("actions", {}).items()
        },
        storage={
            store: StorageSpec(name=store, type="filesystem", count_min=least, count_max=most)
            for store, (least, most) in parts.get("storage", {}).items()
        },
        resources={
            resource: ResourceSpec(name=resource, filename=f"{resource}.bin")
            for resource in parts.get("resources", ())
        },
    )


@dataclass(frozen=True)
class Run:
    """What a charm sees of its run."""

    core: Core
    context: HookContext
    now: float

    @property
    def name(self) -> str:
        return self.context.run.name

    @property
    def unit(self) -> str:
        return self.context.run.unit

    def tool(self, *argv: str, stdin: str = "") -> ToolResult:
        return self.core.tool(self.context.id, argv, stdin, self.now)

    def ask(self, *argv: str) -> Any:
        result = self.tool(argv[0], "--format=json", *argv[1:])
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)


def silent(run: Run) -> int:
    """A charm that does nothing."""
    return 0


@dataclass
class Play:
    """A model whose operator, machines and charms are the test."""

    charm: Callable[[Run], int] = silent
    now: float = 1_000_000.0
    hooks: list[tuple[str, str]] = field(default_factory=list)
    rows: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = State(Ids(random.Random(1)))
        models.create(self.state, "model", now=self.now)
        self.core = Core(self.state)
        self.boots = 0
        self.dead: set[str] = set()

    def deploy(self, wanted: Charm, name: str = "", **options: Any) -> list[str]:
        deployment = applications.Deployment(
            name=name or wanted.name, charm=wanted, archive=f"{wanted.name}.charm", base=BASE, **options
        )
        return applications.deploy(self.state, deployment, now=self.now)

    def integrate(self, first: str, second: str) -> None:
        relations.integrate(self.state, first, second, now=self.now)
        self.settle()

    def run(self, unit: str, action: str, **parameters: Any) -> Mapping[str, Any]:
        operation = actions.enqueue(self.state, [unit], action, parameters, self.now)
        self.settle()
        return show.task(self.state, self.state.operations[operation].tasks[0])

    def settle(self) -> None:
        """Play everything that is due now."""
        while self.step():
            pass
        self.store()

    def step(self) -> bool:
        """Play the next thing that is due; say whether there was one."""
        self.make_world()
        due = self.core.due(self.now)
        if not due:
            return bool(machines.to_release(self.state) or storage.to_release(self.state))
        self.play(due[0])
        return True

    def play(self, run: HookRun) -> Finished:
        return self.end(self.begin(run))

    def begin(self, run: HookRun) -> HookContext:
        self.hooks.append((run.unit, run.name))
        return self.core.begin(run, self.now)

    def end(self, context: HookContext) -> Finished:
        code = self.charm(Run(self.core, context, self.now))
        self.now += 1
        return self.core.finish(context.id, code, self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass, with everything that its timers bring."""
        end = self.now + seconds
        self.settle()
        while (wake := timers.next_time(self.state, self.now)) is not None and wake <= end:
            self.now = wake
            self.settle()
        self.now = max(self.now, end)
        self.settle()

    def make_world(self) -> None:
        """Make and take away what the core asks for."""
        for item in storage.to_release(self.state):
            storage.released(self.state, item.id)
        for machine in machines.to_release(self.state):
            machines.released(self.state, machine.id)
        for machine in machines.wanted(self.state):
            network = Network(
                address=f"10.0.0.{int(machine.id) + 1}", cidr="10.0.0.0/24", gateway="10.0.0.254"
            )
            machines.provisioned(
                self.state,
                machine.id,
                instance_id=f"i-{machine.id}",
                hostname=f"h-{machine.id}",
                network=network,
                now=self.now,
            )
            self.boot(machine.id)
        for item in storage.wanted(self.state):
            storage.provisioned(self.state, item.id, now=self.now)

    def boot(self, machine: str) -> None:
        self.boots += 1
        machines.started(self.state, machine, f"boot-{self.boots}", self.now)

    def reboot(self, machine: str) -> None:
        machines.down(self.state, machine, self.now)
        self.boot(machine)

    def store(self) -> None:
        """Keep what the store would."""
        for key, text in self.state.drain().items():
            if text is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = text

    def names(self, unit: str) -> list[str]:
        """Return the hooks that a unit ran."""
        return [name for ran, name in self.hooks if ran == unit]
