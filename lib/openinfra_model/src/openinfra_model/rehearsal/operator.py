"""What an operator may do to a healthy model of her own accord: changes that every charm here must come through."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

from openinfra_model.core.errors import ModelError
from openinfra_model.rehearsal.commands import relation_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from openinfra_model.core.entities import Relation
    from openinfra_model.rehearsal.world import World

    Undertaking = Callable[[], Iterator[str]]
    """Yields command lines, each of which is to be settled before the next."""

SPARE = 3
"""Of fewer machines none is given up: neither a quorum nor the copies of data outlast it."""


def undertakings(world: World, pick: Callable[[int], int] | None = None) -> list[Undertaking]:
    """Return what could be done to the model as it is now.

    Args:
        world: The model and its machines.
        pick: What draws one of so many units or machines to be given up by force; None: none is.
    """
    applications = sorted(application.name for application in world.state.applications)
    usual = [
        *(partial(_configure, name, value) for name in applications for value in _settings(world, name)),
        *(partial(_commands, f"refresh {name}") for name in applications),
        *(partial(_commands, command) for command in rotations(world)),
        *(partial(_add_unit, world, name) for name in applications if not _is_subordinate(world, name)),
        *(partial(_replace_unit, world, unit) for unit in _replaceable(world)),
        *(partial(lose_machine, world, machine) for machine in expendable(world)),
        *(partial(_relate_again, relation) for relation in _removable(world)),
    ]
    if pick is None:
        return usual
    # One entry each, whatever there is to choose from: it is rare.
    spare, there = sorted(_sharing(world)), expendable(world)
    return [
        *usual,
        *([partial(_give_unit_up, world, spare, pick)] if spare else []),
        *([partial(_give_machine_up, world, there, pick)] if there else []),
    ]


def rotations(world: World) -> list[str]:
    """Return what would replace a credential or a certificate."""
    return [
        command
        for name, twin in world.twins.items()
        if (units := world.units_of(name))
        for command in twin.rotations(units)
        if _is_related(world, command)
    ]


def _is_related(world: World, command: str) -> bool:
    """Return whether a command names no relation, or one that is there."""
    unit, *words = shlex.split(command)[1:]
    endpoints = [value.partition("=")[2] for value in words if "=relation:" in value]
    try:
        return all(relation_id(world.state, unit, endpoint) is not None for endpoint in endpoints)
    except ModelError:
        return False


def _commands(*commands: str) -> Iterator[str]:
    yield from commands


def _configure(application: str, value: str) -> Iterator[str]:
    yield f"config {application} {shlex.quote(value)}"


def _settings(world: World, application: str) -> tuple[str, ...]:
    twin = world.twins.get(application)
    return tuple(twin.settings()) if twin else ()


def _is_subordinate(world: World, application: str) -> bool:
    return world.state.charm_of(world.state.applications[application]).charm.subordinate


def _add_unit(world: World, application: str) -> Iterator[str]:
    before = world.units_of(application)
    yield f"add-unit {application}"
    twin = world.twins.get(application)
    for unit in world.units_of(application):
        if twin and world.is_equipped and unit not in before:
            yield from twin.equip(unit)


def _replaceable(world: World) -> list[str]:
    return [unit.name for unit in world.state.units if not unit.principal]


def _replace_unit(world: World, unit: str) -> Iterator[str]:
    yield from _add_unit(world, unit.partition("/")[0])
    yield f"remove-unit {unit}"


def expendable(world: World) -> list[str]:
    """Return the machines whose loss every application on them outlasts."""
    fewest = min(len(world.units_of(application.name)) for application in world.state.applications)
    return [machine.id for machine in world.state.machines] if fewest >= SPARE else []


def lose_machine(world: World, machine: str) -> Iterator[str]:
    """Yield what an operator does about a machine that died: the model forgets it, and others take its units' places."""
    gone = [unit for unit in world.state.units if unit.machine == machine and not unit.principal]
    yield f"remove-machine {machine} --force"
    for unit in gone:
        yield from _add_unit(world, unit.application)


def _sharing(world: World) -> list[str]:
    """Return the units without which their applications go on, and whose machines stay: others are there too."""
    principals = [unit for unit in world.state.units if not unit.principal]
    machines = [unit.machine for unit in principals]
    return [
        unit.name
        for unit in principals
        if machines.count(unit.machine) > 1
        and len(world.units_of(unit.application)) >= SPARE
        and (unit.application not in world.twins or world.twins[unit.application].bears_leftovers)
    ]


def _give_unit_up(world: World, units: Sequence[str], pick: Callable[[int], int]) -> Iterator[str]:
    """Yield how a unit is given up whose machine stays: none of its hooks runs, and what it has started runs on."""
    unit = units[pick(len(units))]
    yield f"remove-unit {unit} --force"
    yield from _add_unit(world, unit.partition("/")[0])


def _give_machine_up(world: World, machines: Sequence[str], pick: Callable[[int], int]) -> Iterator[str]:
    """Yield how the units of a machine are given up that never comes back; when the last has gone, it does."""
    machine = machines[pick(len(machines))]
    gone = [unit for unit in world.state.units if unit.machine == machine and not unit.principal]
    yield f"lose-machine {machine}"
    for unit in gone:
        yield f"remove-unit {unit.name} --force"
    for unit in gone:
        yield from _add_unit(world, unit.application)


def _removable(world: World) -> list[Relation]:
    return [relation for relation in world.state.relations if not relation.is_peer]


def _relate_again(relation: Relation) -> Iterator[str]:
    ends = " ".join(f"{end.application}:{end.name}" for end in relation.endpoints)
    yield f"remove-relation {ends}"
    yield f"integrate {ends}"
