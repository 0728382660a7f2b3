"""The life of units: added, their agents started, removed with their hooks or by force."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model.core import (
    configuration,
    find,
    history,
    leadership,
    machines,
    relations,
    secrets,
    storage,
)
from openinfra_model.core.entities import Agent, Hook, Membership, Status, Unit
from openinfra_model.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openinfra_model.core.entities import Application
    from openinfra_model.core.state import State

GIVEN_UP_SECONDS = 60.0


def add(state: State, application: str, *, now: float, count: int = 1, to: Sequence[str] = ()) -> list[str]:
    """Add units of a principal and return their names.

    Raises:
        ModelError: if the application cannot have units, or a machine is not there.
    """
    owner = find.application(state, application)
    if state.charm_of(owner).charm.subordinate:
        raise ModelError(f'cannot add unit: application "{application}" is a subordinate')
    if owner.life != "alive":
        raise ModelError(f'application "{application}" is not alive')
    if count < 1:
        raise ModelError("must add at least one unit")
    check_placement(state, owner.base, to)
    return [
        _add_principal(state, owner, to[index] if index < len(to) else "new", now) for index in range(count)
    ]


def check_placement(state: State, base: str, to: Sequence[str]) -> None:
    """Check that units of a base can go where they are told to.

    Raises:
        ModelError: if a machine is not there or runs another base, or the placement is of another kind.
    """
    for placement in to:
        if placement == "new":
            continue
        if not placement.isdigit():
            raise ModelError(f'placement "{placement}" is not supported: name a machine by its number')
        machine = find.machine(state, placement)
        if machine.life != "alive":
            raise ModelError(f"machine {placement} is not alive")
        if machine.base != base:
            raise ModelError(
                f'base does not match: unit has "{base}", machine {placement} has "{machine.base}"'
            )


def _add_principal(state: State, owner: Application, placement: str, now: float) -> str:
    machine = (
        machines.add(state, owner.base, now=now, constraints=owner.constraints)
        if placement == "new"
        else placement
    )
    return _create(state, owner.name, machine=machine, principal="", now=now)


def add_subordinate(state: State, application: str, principal: Unit, now: float) -> str:
    """Add the unit of a subordinate that goes with a principal's unit."""
    return _create(state, application, machine=principal.machine, principal=principal.name, now=now)


def _create(state: State, application: str, *, machine: str, principal: str, now: float) -> str:
    owner = state.applications[application]
    name = f"{application}/{state.take(f'unit-{application}')}"
    state.units.put(
        Unit(
            name=name,
            application=application,
            machine=machine,
            principal=principal,
            created=now,
            workload=Status(current="waiting", message=history.WAITING_FOR_MACHINE, since=now),
            agent=Status(current="allocating", since=now),
        )
    )
    state.agents.put(
        Agent(unit=name, charm_url=owner.charm_url, modified=owner.modified, queued=Hook(kind="install"))
    )
    for store, directive in configuration.storage_directives(state, owner).items():
        for _ in range(directive.count):
            storage.create(state, name, store, directive=directive, now=now)
    if state.machines[machine].present:
        start_agent(state, name, now)
    return name


def start_agent(state: State, name: str, now: float) -> None:
    """Start the agent of a unit whose machine runs; an agent that starts again learns who left meanwhile."""
    unit, agent = state.units[name], state.agents[name]
    first = not agent.boot_id
    if agent.running:
        return
    memberships = {relation: replace(known, ghosts=()) for relation, known in agent.memberships.items()}
    state.agents.put(
        replace(
            agent,
            running=True,
            memberships=memberships,
            boot_id=state.machines[unit.machine].boot_id if first else agent.boot_id,
            update_status_at=now + configuration.update_status_interval(state),
        )
    )
    if first:
        history.set_workload(state, name, "waiting", history.INITIALISING, now)
        history.set_agent(state, name, "allocating", now)
    leadership.claim(state, name, now)


def remove(
    state: State, names: Sequence[str], *, now: float, destroy_storage: bool = False, force: bool = False
) -> None:
    """Begin to remove units: their hooks run first, unless force is given.

    Raises:
        ModelError: if one of them is not there or is a subordinate's.
    """
    for name in names:
        if name not in state.units:
            raise ModelError(f'unit "{name}" does not exist')
        if state.units[name].principal and not force:
            raise ModelError(
                f'unit "{name}" is a subordinate: to remove it, remove its relation or its principal'
            )
    for name in names:
        if name in state.units:
            begin_removal(state, name, destroy_storage=destroy_storage, force=force, now=now)


def begin_removal(state: State, name: str, *, destroy_storage: bool, force: bool, now: float) -> None:
    """Make a unit and its subordinates dying, or remove them at once by force."""
    unit = state.units[name]
    for subordinate in subordinates(state, name):
        begin_removal(state, subordinate.name, destroy_storage=destroy_storage, force=force, now=now)
    storage.unit_leaves(state, name, destroy=destroy_storage)
    if force:
        gone(state, name, now, forced=True)
    elif unit.life == "alive":
        state.units.put(replace(state.units[name], life="dying"))
        relations.leave_implicit(state, name)


def subordinates(state: State, principal: str) -> list[Unit]:
    """Return the subordinate units of a principal's unit."""
    return [unit for unit in state.units if unit.principal == principal]


def gone(state: State, name: str, now: float, *, forced: bool) -> None:
    """Drop a unit, and what cannot be without it.

    Juju 4.0.15 does not tell the peers of a unit that went in good order (their agents keep it as a member until they
    restart); those of a unit removed by force run relation-departed.
    """
    unit = state.units[name]
    if not forced:
        _leave_ghosts(state, unit)
    relations.leave_all(state, name)
    history.forget(state, name)
    storage.unit_gone(state, name)
    secrets.unit_gone(state, name)
    leadership.stop_renewing(state, name, now)
    for task in unit.tasks:
        cancelled = replace(state.tasks[task], status="cancelled", completed=now, message="unit removed")
        state.tasks.put(cancelled)
    state.agents.remove(name)
    state.units.remove(name)
    if not find.units_on(state, unit.machine):
        machine = state.machines[unit.machine]
        state.machines.put(replace(machine, life="dead", agent=Status(current="stopped", since=now)))
    settle_application(state, unit.application)


def _leave_ghosts(state: State, unit: Unit) -> None:
    for relation in find.relations_of(state, unit.application):
        if not relation.is_peer:
            continue
        for peer in relation.units:
            agent = state.agents[peer]
            known = agent.memberships.get(relation.key, Membership())
            if unit.name in known.members:
                changed = replace(known, ghosts=(*known.ghosts, unit.name))
                state.agents.put(replace(agent, memberships={**agent.memberships, relation.key: changed}))


def settle_application(state: State, name: str) -> None:
    """Drop a dying application that has no unit and no relation left."""
    application = state.applications.get(name)
    if application is None or application.life == "alive" or find.units_of(state, name):
        return
    for relation in find.relations_of(state, name):
        if relation.is_peer:
            state.relations.remove(relation.key)
    if not find.relations_of(state, name):
        secrets.application_gone(state, name)
        state.applications.remove(name)


def given_up_at(state: State, name: str) -> float | None:
    """Return when Juju gives up a unit whose hooks fail while its application is removed; None while it does not.

    Seen with 4.0.14: after about a minute of retries such a unit is gone from the model, without stop and remove. Of a
    unit that is removed alone, from an application that stays, nothing was seen: its hook is retried until it succeeds, is
    resolved, or the unit is removed by force.
    """
    agent, unit = state.agents[name], state.units[name]
    is_removed = unit.life != "alive" and state.applications[unit.application].life != "alive"
    return agent.failed_since + GIVEN_UP_SECONDS if is_removed and agent.failed else None


def settle(state: State, name: str, now: float) -> None:
    """Drop a dying unit that has nothing left to run."""
    unit, agent = state.units[name], state.agents[name]
    if unit.life != "alive" and not agent.failed and (agent.removed or not agent.installed):
        gone(state, name, now, forced=False)


def resolve(state: State, unit: str, *, retry: bool = True) -> None:
    """Retry the failed hook of a unit now, or go on as if it had succeeded.

    Raises:
        ModelError: if it is not in error.
    """
    found = find.unit(state, unit)
    if state.agents[found.name].failed is None:
        raise ModelError(f'unit "{found.name}" is not in an error state')
    if found.resolved:
        raise ModelError(f'unit "{found.name}" is already resolved')
    state.units.put(replace(found, resolved="retry" if retry else "no-retry"))
