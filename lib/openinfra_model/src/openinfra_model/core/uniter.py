"""Which hook a unit runs next: what the model is now, compared with what the unit's agent told its charm.

The order of the rules is that of Juju 4.0's uniter (internal/worker/uniter/resolver.go and its resolvers). Since only
the difference counts, changes that come while a unit is busy are told once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model.core import actions, configuration, find, relations, secrets, storage, units
from openinfra_model.core.entities import Hook, Membership
from openinfra_model.core.context import HookRun
from openinfra_model.core.progress import complete

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openinfra_model.core.entities import Agent, Databag, Relation, Unit
    from openinfra_model.core.ids import Ids
    from openinfra_model.core.state import State

_NO_MEMBERSHIP = Membership()


def due(state: State, ids: Ids, busy: set[str], now: float) -> list[HookRun]:
    """Return what each unit that is not busy would run next; those that wait longest come first."""
    found: list[HookRun] = []
    for unit in sorted(state.units, key=lambda unit: unit.agent.since):
        if unit.name not in busy and unit.name in state.units and (run := _next_run(state, ids, unit.name, now)):
            found.append(run)
    return found


def _next_run(state: State, ids: Ids, name: str, now: float) -> HookRun | None:
    _skip(state, ids, name, now)
    agent = state.agents[name]
    if agent.running:
        for rule in (_reboot, _created, _leadership, secrets.next_hook):
            if hook := rule(state, state.units[name], agent, now):
                return _hook_run(state.units[name], hook)
        if task := _next_task(state, state.units[name], agent):
            return task
        for rule in (_storage, _pending, _ordinary):
            if hook := rule(state, state.units[name], agent, now):
                return _hook_run(state.units[name], hook)
    units.settle(state, name, now)
    return None


def _hook_run(unit: Unit, hook: Hook) -> HookRun:
    return HookRun(unit=unit.name, machine=unit.machine, kind="hook", name=hook.name, hook=hook)


def _skip(state: State, ids: Ids, name: str, now: float) -> None:
    """Pass over a failed hook that the operator resolved so, or whose subject is gone."""
    unit, agent = state.units[name], state.agents[name]
    if agent.failed and (unit.resolved == "no-retry" or not _is_meaningful(state, agent.failed)):
        complete(state, ids, name, agent.failed, configuration.fingerprint(state, name), now)


def _is_meaningful(state: State, hook: Hook) -> bool:
    return (hook.relation is None or str(hook.relation) in state.relations) and (
        not hook.storage or hook.storage in state.storage
    )


def _is_idle(agent: Agent) -> bool:
    return agent.failed is None and agent.queued is None


def _reboot(state: State, unit: Unit, agent: Agent, now: float) -> Hook | None:
    if agent.started and _is_idle(agent) and agent.boot_id != state.machines[unit.machine].boot_id:
        return Hook(kind="start")
    return None


def _created(state: State, unit: Unit, agent: Agent, now: float) -> Hook | None:
    if not agent.installed or not _is_idle(agent) or unit.life != "alive":
        return None
    for relation in _own_relations(state, unit):
        known = agent.memberships.get(relation.key, _NO_MEMBERSHIP)
        if relation.life == "alive" and unit.name in relation.units and not known.created:
            return _relation_hook("relation-created", relation, unit)
    return None


def _own_relations(state: State, unit: Unit) -> Iterator[Relation]:
    """Yield the relations for which a unit's charm has hooks."""
    for relation in find.relations_of(state, unit.application):
        if not relation.local(unit.application).implicit:
            yield relation


def _relation_hook(
    kind: str, relation: Relation, unit: Unit, remote_unit: str = "", version: int = 0, departing: str = ""
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


def _leadership(state: State, unit: Unit, agent: Agent, now: float) -> Hook | None:
    if not agent.installed or agent.failed or agent.leader or unit.life != "alive":
        return None
    return Hook(kind="leader-elected") if state.applications[unit.application].leader == unit.name else None


def _next_task(state: State, unit: Unit, agent: Agent) -> HookRun | None:
    """Return a unit's first task; tasks run even while a hook is in error."""
    if not unit.tasks or not agent.installed:
        return None
    task = state.tasks[unit.tasks[0]]
    return HookRun(
        unit=unit.name,
        machine=unit.machine,
        kind="exec" if task.action == actions.EXEC else "action",
        name=task.action,
        task=task.id,
        parallel=task.parallel,
        execution_group=task.execution_group,
    )


def _storage(state: State, unit: Unit, agent: Agent, now: float) -> Hook | None:
    if agent.failed:
        return None
    for item in storage.attached(state, unit.name):
        if item.attachment == "dying" and item.id in agent.storage:
            return Hook(kind="storage-detaching", storage=item.id)
        if item.attachment == "alive" and item.provisioned and item.id not in agent.storage and unit.life == "alive":
            return Hook(kind="storage-attached", storage=item.id)
    return None


def _pending(state: State, unit: Unit, agent: Agent, now: float) -> Hook | None:
    """Return the failed hook when its time has come, or the one that must follow."""
    if agent.failed:
        timer = agent.retry_at is not None and agent.retry_at <= now
        return agent.failed if timer or unit.resolved == "retry" else None
    if agent.queued and agent.queued.kind == "install":
        return agent.queued if unit.life == "alive" and _has_its_storage(state, unit, agent) else None
    return agent.queued


def _has_its_storage(state: State, unit: Unit, agent: Agent) -> bool:
    return all(item.id in agent.storage for item in storage.attached(state, unit.name))


def _ordinary(state: State, unit: Unit, agent: Agent, now: float) -> Hook | None:
    if not _is_idle(agent):
        return None
    if unit.life != "alive":
        return _relations(state, unit, agent, now) or _teardown(agent)
    rules: tuple[Callable[[State, Unit, Agent, float], Hook | None], ...] = (
        _upgrade,
        _config,
        _relations,
        _update_status,
    )
    return next((hook for rule in rules if (hook := rule(state, unit, agent, now))), None)


def _teardown(agent: Agent) -> Hook | None:
    if agent.started and not agent.stopped:
        return Hook(kind="stop")
    return Hook(kind="remove") if agent.installed and not agent.removed else None


def _upgrade(state: State, unit: Unit, agent: Agent, now: float) -> Hook | None:
    application = state.applications[unit.application]
    if agent.charm_url != application.charm_url or agent.modified != application.modified:
        return Hook(kind="upgrade-charm")
    return None


def _config(state: State, unit: Unit, agent: Agent, now: float) -> Hook | None:
    return Hook(kind="config-changed") if agent.config_seen != configuration.fingerprint(state, unit.name) else None


def _update_status(state: State, unit: Unit, agent: Agent, now: float) -> Hook | None:
    return Hook(kind="update-status") if agent.started and agent.update_status_at <= now else None


def _relations(state: State, unit: Unit, agent: Agent, now: float) -> Hook | None:
    for relation in _own_relations(state, unit):
        known = agent.memberships.get(relation.key)
        if known and not known.broken:
            if hook := _next_relation_hook(state, unit, relation, known):
                return hook
        elif relation.life != "alive" and unit.name in relation.units:
            relations.leave(state, relation.id, unit.name)
    return None


def _next_relation_hook(state: State, unit: Unit, relation: Relation, known: Membership) -> Hook | None:
    """Return what one relation has to tell (internal/worker/uniter/relation/resolver.go)."""
    over = unit.life != "alive" or relation.life != "alive"
    remote = {} if over else _remote_units(unit, relation)
    if known.pending_change:
        bag = relation.units.get(known.pending_change)
        return _relation_hook(
            "relation-changed", relation, unit, known.pending_change, bag.version if bag else 0
        )
    for name in sorted(known.members, key=_by_number):
        if name not in remote and (over or name not in known.ghosts):
            leaving = unit.life != "alive" or state.applications[unit.application].life != "alive"
            departing = unit.name if leaving else name
            return _relation_hook("relation-departed", relation, unit, name, departing=departing)
    if over:
        return None if relation.is_peer else _relation_hook("relation-broken", relation, unit)
    return _changed_application(relation, unit, known) or _joined_or_changed(relation, unit, known, remote)


def _by_number(unit: str) -> tuple[str, int]:
    application, _, number = unit.rpartition("/")
    return application, int(number)


def _remote_units(unit: Unit, relation: Relation) -> dict[str, Databag]:
    """Return the other units in scope. Juju 4.0.15 does not narrow a container-scoped relation to one machine."""
    application = relation.remote(unit.application).application
    return {
        name: bag
        for name, bag in relation.units.items()
        if name != unit.name and name.rpartition("/")[0] == application
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
    names = sorted(remote, key=_by_number)
    for name in names:
        if name not in known.members:
            return _relation_hook("relation-joined", relation, unit, name, remote[name].version)
    for name in names:
        if known.members[name] != remote[name].version:
            return _relation_hook("relation-changed", relation, unit, name, remote[name].version)
    return None
