"""Look-ups by the names that operators and charms give, with Juju's words where there is nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from openinfra_model.core.errors import ModelError

if TYPE_CHECKING:
    from openinfra_model.core.entities import Application, Machine, Operation, Relation, Storage, Task, Unit
    from openinfra_model.core.state import State


def application(state: State, name: str) -> Application:
    """Return an application.

    Raises:
        ModelError: if there is none of that name.
    """
    if (found := state.applications.get(name)) is None:
        raise ModelError(f'application "{name}" not found')
    return found


def unit(state: State, name: str) -> Unit:
    """Return a unit by name, or an application's leader for `APPLICATION/leader`.

    Raises:
        ModelError: if there is none.
    """
    if name.endswith("/leader"):
        owner = application(state, name.removesuffix("/leader"))
        if owner.leader not in state.units:
            raise ModelError(f'could not determine leader for "{owner.name}"')
        return state.units[owner.leader]
    if (found := state.units.get(name)) is None:
        raise ModelError(f'unit "{name}" not found')
    return found


def machine(state: State, machine_id: str) -> Machine:
    """Return a machine.

    Raises:
        ModelError: if there is none of that id.
    """
    if (found := state.machines.get(machine_id)) is None:
        raise ModelError(f"machine {machine_id} not found")
    return found


def storage(state: State, storage_id: str) -> Storage:
    """Return a storage instance.

    Raises:
        ModelError: if there is none of that id.
    """
    if (found := state.storage.get(storage_id)) is None:
        raise ModelError(f'storage instance "{storage_id}" not found')
    return found


def operation(state: State, operation_id: str) -> Operation:
    """Return an operation.

    Raises:
        ModelError: if there is none of that id.
    """
    if (found := state.operations.get(operation_id)) is None:
        raise ModelError(f'operation "{operation_id}" not found')
    return found


def task(state: State, task_id: str) -> Task:
    """Return a task.

    Raises:
        ModelError: if there is none of that id.
    """
    if (found := state.tasks.get(task_id)) is None:
        raise ModelError(f'task "{task_id}" not found')
    return found


@cache
def by_number(unit: str) -> tuple[str, int]:
    """Return what sorts units' names: the application, then the number."""
    application, _, number = unit.rpartition("/")
    return application, int(number)


def units_of(state: State, application_name: str) -> list[Unit]:
    """Return an application's units by number."""
    return sorted(
        (unit for unit in state.units if unit.application == application_name), key=lambda unit: unit.number
    )


def units_on(state: State, machine_id: str) -> list[Unit]:
    """Return a machine's units in the order they were added."""
    return [unit for unit in state.units if unit.machine == machine_id]


def relations_of(state: State, application_name: str) -> list[Relation]:
    """Return the relations that an application takes part in, by id; what runs first comes first.

    Juju goes through them in any order; recorded deploys had peer relations last.
    """
    found = [
        relation
        for relation in state.relations
        if any(end.application == application_name for end in relation.endpoints)
    ]
    return sorted(found, key=lambda relation: (relation.is_peer, relation.id))


def is_subordinate(state: State, application_name: str) -> bool:
    """Say whether an application's charm is a subordinate."""
    return state.charm_of(state.applications[application_name]).charm.subordinate
