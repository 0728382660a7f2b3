"""What every unit would run next, kept from one look to the next: a unit is asked again only when what it looks at changed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model.core import find, uniter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from openinfra_model.core.context import HookRun
    from openinfra_model.core.entities import Machine, Relation, Secret, Storage
    from openinfra_model.core.state import State


class Agenda:
    """The units' next runs over one state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._runs: dict[str, HookRun] = {}
        self._stale = {unit.name for unit in state.units}
        self._timers: dict[str, float] = {}
        """When a unit is to be asked again though nothing has changed."""
        self._first_timer = math.inf

    def due(self, busy: set[str], now: float) -> list[HookRun]:
        """Return what each unit that is not busy would run next; those that wait longest come first.

        What needs no hook happens at once: dying units that are done go.
        """
        state = self._state
        if now >= self._first_timer:
            self._stale.update(unit for unit, moment in self._timers.items() if moment <= now)
        self._stale.update(self._affected())
        while asked := [unit for unit in self._stale if unit not in busy]:
            for unit in asked:
                self._ask(unit, now)
            self._stale.update(self._affected())
        self._first_timer = min(self._timers.values(), default=math.inf)
        found = [run for unit, run in self._runs.items() if unit not in busy]
        return sorted(found, key=lambda run: (state.units[run.unit].agent.since, *find.by_number(run.unit)))

    def _ask(self, unit: str, now: float) -> None:
        self._stale.discard(unit)
        self._runs.pop(unit, None)
        self._timers.pop(unit, None)
        if unit not in self._state.units:
            return
        if run := uniter.next_run(self._state, unit, now):
            self._runs[unit] = run
        if unit in self._state.units:
            later = (moment for moment in uniter.timers(self._state, unit) if moment > now)
            self._timers[unit] = min(later, default=math.inf)

    def _affected(self) -> Iterator[str]:
        """Yield the units that look at rows which have changed since the last call."""
        state = self._state
        changed = {table.name: table.take_changed() for table in state.tables()}
        yield from changed["units"]
        yield from changed["agents"]
        if changed["models"] or changed["charms"]:
            yield from (unit.name for unit in state.units)
        yield from _names(state, changed["applications"])
        for key, machine in changed["machines"].items():
            yield from _inhabitants(state, machine, state.machines.get(key))
        for key, relation in changed["relations"].items():
            yield from _related(state, relation, state.relations.get(key))
        for key, item in changed["storage"].items():
            yield from _owners(item, state.storage.get(key))
        for key, secret in changed["secrets"].items():
            yield from _readers(state, secret, state.secrets.get(key))
        yield from (state.tasks[key].unit for key in changed["tasks"])


def _names(state: State, applications: Iterable[str]) -> Iterator[str]:
    if wanted := set(applications):
        yield from (unit.name for unit in state.units if unit.application in wanted)


def _inhabitants(state: State, before: Machine | None, machine: Machine | None) -> Iterator[str]:
    """Yield the units on a machine; its status alone concerns none of them."""
    if before and machine and replace(before, agent=machine.agent, instance=machine.instance) == machine:
        return
    if known := machine or before:
        yield from (unit.name for unit in find.units_on(state, known.id))


def _related(state: State, *versions: Relation | None) -> Iterator[str]:
    ends = [end.application for relation in versions if relation for end in relation.endpoints]
    yield from _names(state, ends)


def _owners(*versions: Storage | None) -> Iterator[str]:
    yield from (item.owner for item in versions if item and item.owner)


def _readers(state: State, before: Secret | None, secret: Secret | None) -> Iterator[str]:
    """Yield who looks at a secret: all, but only its new reader where nothing else of it has changed."""
    if before and secret and replace(before, consumers=secret.consumers) == secret:
        readers = before.consumers.keys() | secret.consumers.keys()
        yield from (unit for unit in readers if before.consumers.get(unit) != secret.consumers.get(unit))
        return
    yield from (unit.name for unit in state.units)
