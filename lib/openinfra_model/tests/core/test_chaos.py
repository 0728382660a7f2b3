"""Random operators, charms and machines: nothing may crash, get stuck or be lost, whatever comes in whatever order."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from openinfra_model.core import (
    ModelError,
    State,
    actions,
    applications,
    configuration,
    machines,
    models,
    relations,
    status,
    storage,
    uniter,
    units,
)

from .play import Play, Run, charm, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from openinfra_model.core import HookContext
    from openinfra_model.core.context import HookRun

STEPS = 120
RUNS_THAT_WRITE = 60
DB = charm(
    "db",
    provides={"sql": "mysql"},
    peers={"cluster": "db-peer"},
    config={"size": 3},
    storage={"data": (1, 5)},
    actions={"go": {"type": "object", "properties": {}}},
)
WEB = charm("web", requires={"sql": "mysql"}, peers={"ring": "web-peer"})
AGENT = charm("agent", subordinate=True, requires={"host": "juju-info"})
ENDPOINTS = ("cluster", "sql", "host", "ring")
KEPT = {"models", "sequences", "charms", "operations", "tasks"}


class Charm:
    """A charm that writes at random for a while, and now and then fails."""

    def __init__(self, source: random.Random) -> None:
        self.random = source
        self.writes = RUNS_THAT_WRITE

    def __call__(self, run: Run) -> int:
        self.writes -= 1
        for _ in range(self.random.randrange(4) if self.writes > 0 else 0):
            self.write(run)
        return int(self.random.random() < 0.05)

    def write(self, run: Run) -> None:
        if run.unit not in run.core.state.units:
            return
        relations = [relation for endpoint in ENDPOINTS for relation in run.ask("relation-ids", endpoint)]
        number = self.random.randrange(4)
        own = run.ask("secret-ids") or []
        commands = [
            ["storage-add", "data"],
            ["open-port", f"{80 + number}"],
            ["close-port", f"{80 + number}"],
            [
                "secret-add",
                "--owner",
                self.random.choice(["unit", "application"]),
                f"key={number}",
                "--expire",
                "30m",
            ],
            *(["secret-set", secret, f"key={self.random.random()}"] for secret in own),
            *(["secret-remove", secret] for secret in own),
            *(["secret-grant", secret, "-r", relation] for secret in own for relation in relations),
            *(["secret-get", secret.id, "--refresh"] for secret in run.core.state.secrets),
            *(["relation-set", "-r", relation, f"k={number}"] for relation in relations),
            *(["relation-set", "--app", "-r", relation, f"k={number}"] for relation in relations),
        ]
        run.tool(*self.random.choice(commands))


@dataclass
class Operator:
    """An operator, and machines, that do anything."""

    play: Play
    random: random.Random
    running: list[HookContext] = field(default_factory=list)

    def act(self) -> None:
        verbs = [
            self.relate,
            self.unrelate,
            self.units,
            self.machine,
            self.storage,
            self.settings,
            self.application,
        ]
        try:
            self.random.choice([*verbs, self.hooks, self.hooks, self.hooks])()
        except ModelError:
            # What cannot be is refused; that nothing has changed then is tested elsewhere.
            return

    def some(self, rows: Iterable[Any]) -> Any:
        found = list(rows)
        if not found:
            raise ModelError("there is none")
        return self.random.choice(found)

    def maybe(self, share: float = 0.5) -> bool:
        return self.random.random() < share

    def relate(self) -> None:
        relations.integrate(
            self.play.state, *self.some([("web", "db"), ("agent", "db"), ("agent", "web")]), now=self.play.now
        )

    def unrelate(self) -> None:
        ends = self.some([("web", "db"), ("agent", "db"), ("agent", "web")])
        relations.remove(self.play.state, *ends, now=self.play.now, force=self.maybe(0.2))

    def units(self) -> None:
        state, now = self.play.state, self.play.now
        unit = self.some(self.play.state.units).name
        machine = self.some(self.play.state.machines).id
        verbs: list[Callable[[], object]] = [
            lambda: units.add(state, "db", to=[machine] if self.maybe() else [], now=now),
            lambda: units.remove(state, [unit], force=self.maybe(0.3), destroy_storage=self.maybe(), now=now),
            lambda: units.resolve(state, unit, retry=self.maybe()),
            lambda: actions.enqueue(state, [unit], "go", {}, now),
            lambda: actions.enqueue_exec(state, [unit], "true", now=now),
        ]
        self.random.choice(verbs)()

    def machine(self) -> None:
        machine = self.some(
            item for item in self.play.state.machines if item.instance_id and item.life == "alive"
        )
        if not machine.present:
            self.play.boot(machine.id)
        elif self.maybe(0.2):
            machines.remove(self.play.state, machine.id, force=True, now=self.play.now)
        else:
            self.cut_off(machine.id)
            machines.down(self.play.state, machine.id, self.play.now)

    def storage(self) -> None:
        item = self.some(self.play.state.storage).id
        verb = storage.detach if self.maybe() else storage.remove
        verb(self.play.state, item, force=self.maybe(), now=self.play.now)

    def settings(self) -> None:
        if self.maybe():
            configuration.set_options(self.play.state, "db", {"size": str(self.random.randrange(5))})
        else:
            applications.refresh(self.play.state, "db", DB, archive="db.charm", now=self.play.now)

    def application(self) -> None:
        if self.maybe(0.1):
            applications.remove(self.play.state, "db", force=self.maybe(0.3), now=self.play.now)
        else:
            self.play.deploy(DB, "db")

    def hooks(self) -> None:
        """Let time pass, begin hooks, end some of them: the rest goes on while the operator acts."""
        if self.maybe(0.1):
            self.play.now += self.random.randrange(400)
        for _ in range(self.random.randrange(12)):
            self.play.make_world()
            due = self.play.core.due(self.play.now)
            self.check_agenda(due)
            if due and self.maybe(0.6):
                self.running.append(self.play.begin(self.random.choice(due)))
            elif self.running:
                self.play.end(self.running.pop(self.random.randrange(len(self.running))))

    def check_agenda(self, due: list[HookRun]) -> None:
        """What is kept from one look to the next is what every unit would say if it were asked now."""
        state, busy = self.play.state, {context.run.unit for context in self.running}
        asked = [
            uniter.next_run(state, unit.name, self.play.now) for unit in state.units if unit.name not in busy
        ]
        assert sorted(map(repr, due)) == sorted(repr(run) for run in asked if run)

    def cut_off(self, machine: str) -> None:
        for context in [context for context in self.running if context.run.machine == machine]:
            self.running.remove(context)
            self.play.core.abandon(context.id, self.play.now)

    def finish(self) -> None:
        for context in self.running:
            self.play.end(context)


@pytest.mark.parametrize("seed", range(8))
def test_a_model_survives_anything(seed):
    source = random.Random(seed)
    play = Play(charm=Charm(source))
    for wanted in (DB, WEB):
        play.deploy(wanted, units=source.randrange(1, 4))
    play.deploy(AGENT)
    operator = Operator(play, source)
    for _ in range(STEPS):
        operator.act()
        status.full(play.state, play.now)
        assert_stored(play)
    operator.finish()
    assert_quiet_in_the_end(play)


def assert_stored(play: Play) -> None:
    """The rows that were drained are the whole state."""
    play.store()
    rows = [(table, key, text) for (table, key), text in play.rows.items()]
    stored = State.load(rows, play.state.ids)
    for again, table in zip(stored.tables(), play.state.tables(), strict=True):
        assert {repr(row) for row in again} == {repr(row) for row in table}


def assert_quiet_in_the_end(play: Play) -> None:
    """With machines that run and charms that succeed, all errors heal; then everything can be removed."""
    play.charm = silent
    for machine in play.state.machines:
        if machine.instance_id and machine.life == "alive" and not machine.present:
            play.boot(machine.id)
    play.wait(4000)
    assert [agent.unit for agent in play.state.agents if agent.failed] == []
    models.destroy(play.state, destroy_storage=True, now=play.now)
    play.wait(4000)
    assert [table.name for table in play.state.tables() if len(table) and table.name not in KEPT] == []
