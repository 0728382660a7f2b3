"""Which hook a unit runs next: what the model is now, compared with what the unit's agent told its charm.

The order of the rules is that of Juju 4.0's uniter (internal/worker/uniter/resolver.go and its resolvers). Since only
the difference counts, changes that come while a unit is busy are told once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_model.core import actions, configuration, find, relations, secrets, storage, units
from openinfra_model.core.context import HookRun
from openinfra_model.core.entities import Hook, Membership
from openinfra_model.core.progress import complete, has_subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openinfra_model.core.entities import Agent, Application, Databag, Relation, Unit
    from openinfra_model.core.state import State

_NO_MEMBERSHIP = Membership()


@dataclass(frozen=True, slots=True)
class _Situation:
    """What the rules look at."""

    state: State
    unit: Unit
    agent: Agent
    now: float

    @property
    def application(self) -> Application:
        return self.state.applications[self.unit.application]

    @property
    def is_alive(self) -> bool:
        return self.unit.life == "alive"

    @property
    def is_idle(self) -> bool:
        """Nothing failed and nothing is queued: Juju calls it `continue`."""
        return self.agent.failed is None and self.agent.queued is None


def next_run(state: State, name: str, now: float) -> HookRun | None:
    """Return what a unit would run next. What needs no hook happens at once: a dying unit that is done goes."""
    end = units.given_up_at(state, name)
    if end is not None and now >= end:
        units.gone(state, name, now, forced=True)
        return None
    _skip(state, name, now)
    situation = _Situation(state, state.units[name], state.agents[name], now)
    # Whose remove hook has run is as good as gone: Juju ends its agent, whatever still waits for it.
    run = _first(situation) if situation.agent.running and not situation.agent.removed else None
    if run is None:
        units.settle(state, name, now)
    return run


def timers(state: State, name: str) -> Iterator[float]:
    """Yield the moments at which `next_run` may have another answer for a unit though nothing has changed."""
    agent = state.agents[name]
    yield agent.update_status_at
    if agent.retry_at is not None:
        yield agent.retry_at
    if (end := units.given_up_at(state, name)) is not None:
        yield end
    yield from secrets.timers(state)


def _first(situation: _Situation) -> HookRun | None:
    for rule in (_reboot, _created, _leadership, _secrets, _next_task, _storage, _pending, _ordinary):
        match rule(situation):
            case Hook() as hook:
                return _hook_run(situation.unit, hook)
            case HookRun() as run:
                return run
            case None:
                pass
    return None


def _hook_run(unit: Unit, hook: Hook) -> HookRun:
    return HookRun(unit=unit.name, machine=unit.machine, kind="hook", name=hook.name, hook=hook)


def _skip(state: State, name: str, now: float) -> None:
    """Pass over a failed hook that the operator resolved so, or whose subject is gone."""
    unit, agent = state.units[name], state.agents[name]
    if agent.failed and (unit.resolved == "no-retry" or not has_subject(state, agent.failed)):
        seen = configuration.fingerprint(state, name)
        complete(state, name, agent.failed, config_seen=seen, now=now)


def _reboot(situation: _Situation) -> Hook | None:
    agent = situation.agent
    boot_id = situation.state.machines[situation.unit.machine].boot_id
    is_up = agent.started and not agent.stopped and situation.is_idle
    return Hook(kind="start") if is_up and agent.boot_id != boot_id else None


def _created(situation: _Situation) -> Hook | None:
    if not (situation.agent.installed and situation.is_idle and situation.is_alive):
        return None
    for relation in _own_relations(situation.state, situation.unit):
        known = situation.agent.memberships.get(relation.key, _NO_MEMBERSHIP)
        if relation.life == "alive" and situation.unit.name in relation.units and not known.created:
            return _relation_hook("relation-created", relation, situation.unit)
    return None


def _own_relations(state: State, unit: Unit) -> Iterator[Relation]:
    """Yield the relations for which a unit's charm has hooks."""
    for relation in find.relations_of(state, unit.application):
        if not relation.local(unit.application).implicit:
            yield relation


def _relation_hook(
    kind: str, relation: Relation, unit: Unit, remote_unit: str = "", *, version: int = 0, departing: str = ""
) -> Hook:
    return Hook(
        kind=kind,
        relation=relation.id,
        endpoint=relation.local(unit.application).name,
        remote_application=relation.remote(unit.application).application,
        remote_unit=remote_unit,
        version=version,
        departing_unit=departing,
    )


def _leadership(situation: _Situation) -> Hook | None:
    agent = situation.agent
    if not agent.installed or agent.failed or agent.leader or not situation.is_alive:
        return None
    return Hook(kind="leader-elected") if situation.application.leader == agent.unit else None


def _secrets(situation: _Situation) -> Hook | None:
    if not (situation.agent.installed and situation.is_idle and situation.is_alive):
        return None
    return secrets.next_hook(situation.state, situation.agent, situation.now)


def _next_task(situation: _Situation) -> HookRun | None:
    """Return a unit's first task; tasks run even while a hook is in error, but not before a queued one."""
    unit, agent = situation.unit, situation.agent
    if not unit.tasks or (agent.queued and not agent.failed):
        return None
    task = situation.state.tasks[unit.tasks[0]]
    return HookRun(
        unit=unit.name,
        machine=unit.machine,
        kind="exec" if task.action == actions.EXEC else "action",
        name=task.action,
        task=task.id,
        parallel=task.parallel,
        local=task.local,
        execution_group=task.execution_group,
    )


def _storage(situation: _Situation) -> Hook | None:
    agent = situation.agent
    if agent.failed or (agent.queued and agent.installed):
        return None
    for item in storage.attached(situation.state, situation.unit.name):
        if item.attachment == "dying" and item.id in agent.storage:
            return Hook(kind="storage-detaching", storage=item.id)
        if (
            item.attachment == "alive"
            and item.provisioned
            and item.id not in agent.storage
            and situation.is_alive
        ):
            return Hook(kind="storage-attached", storage=item.id)
    return None


def _pending(situation: _Situation) -> Hook | None:
    """Return the failed hook when its time has come, or the one that must follow."""
    agent = situation.agent
    if agent.failed:
        is_time = agent.retry_at is not None and agent.retry_at <= situation.now
        return agent.failed if is_time or situation.unit.resolved == "retry" else None
    if agent.queued and agent.queued.kind == "install":
        return agent.queued if situation.is_alive and _has_its_storage(situation) else None
    return agent.queued


def _has_its_storage(situation: _Situation) -> bool:
    expected = storage.attached(situation.state, situation.unit.name)
    return all(item.id in situation.agent.storage for item in expected)


def _ordinary(situation: _Situation) -> Hook | None:
    if not situation.is_idle:
        return None
    rules = (_upgrade, _config, _relations, _update_status) if situation.is_alive else (_relations, _teardown)
    return next((hook for rule in rules if (hook := rule(situation))), None)


def _teardown(situation: _Situation) -> Hook | None:
    agent = situation.agent
    if agent.started and not agent.stopped:
        return Hook(kind="stop")
    return Hook(kind="remove") if agent.installed and not agent.removed else None


def _upgrade(situation: _Situation) -> Hook | None:
    agent, application = situation.agent, situation.application
    is_current = (agent.charm_url, agent.modified) == (application.charm_url, application.modified)
    return None if is_current else Hook(kind="upgrade-charm")


def _config(situation: _Situation) -> Hook | None:
    seen = configuration.fingerprint(situation.state, situation.unit.name)
    return None if situation.agent.config_seen == seen else Hook(kind="config-changed")


def _update_status(situation: _Situation) -> Hook | None:
    is_time = situation.agent.update_status_at <= situation.now
    return Hook(kind="update-status") if situation.agent.started and is_time else None


def _relations(situation: _Situation) -> Hook | None:
    unit = situation.unit
    for relation in _own_relations(situation.state, unit):
        known = situation.agent.memberships.get(relation.key)
        if known and (hook := _next_relation_hook(situation.state, unit, relation, known)):
            return hook
        if not known and relation.life != "alive":
            relations.leave(situation.state, relation.id, unit.name)
    return None


def _next_relation_hook(state: State, unit: Unit, relation: Relation, known: Membership) -> Hook | None:
    """Return what one relation has to tell (internal/worker/uniter/relation/resolver.go)."""
    over = unit.life != "alive" or relation.life != "alive"
    remote = {} if over else _remote_units(unit, relation)
    if known.pending_change:
        bag = relation.units.get(known.pending_change)
        return _relation_hook(
            "relation-changed", relation, unit, known.pending_change, version=bag.version if bag else 0
        )
    for name in sorted(known.members, key=find.by_number):
        if name not in remote and (over or name not in known.ghosts):
            leaving = unit.life != "alive" or state.applications[unit.application].life != "alive"
            departing = unit.name if leaving else name
            return _relation_hook("relation-departed", relation, unit, name, departing=departing)
    if over:
        return None if relation.is_peer else _relation_hook("relation-broken", relation, unit)
    return _changed_application(relation, unit, known) or _joined_or_changed(relation, unit, known, remote)


def _remote_units(unit: Unit, relation: Relation) -> dict[str, Databag]:
    """Return the other units in scope. Juju 4.0.15 does not narrow a container-scoped relation to one machine."""
    application = relation.remote(unit.application).application
    return {
        name: bag
        for name, bag in relation.units.items()
        if name != unit.name and find.by_number(name)[0] == application
    }


def _changed_application(relation: Relation, unit: Unit, known: Membership) -> Hook | None:
    name = relation.remote(unit.application).application
    version = relation.applications[name].version if name in relation.applications else 0
    if known.applications.get(name, 0) == version:
        return None
    return _relation_hook("relation-changed", relation, unit, version=version)


def _joined_or_changed(
    relation: Relation, unit: Unit, known: Membership, remote: dict[str, Databag]
) -> Hook | None:
    names = sorted(remote, key=find.by_number)
    for name in names:
        if name not in known.members:
            return _relation_hook("relation-joined", relation, unit, name, version=remote[name].version)
    for name in names:
        if known.members[name] != remote[name].version:
            return _relation_hook("relation-changed", relation, unit, name, version=remote[name].version)
    return None
