"""The operator's command lines, played on a world."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from openinfra_model.core import actions, applications, configuration, machines, relations, secrets, units
from openinfra_model.core.errors import ModelError
from openinfra_model.document import value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openinfra_model.core.state import State
    from openinfra_model.rehearsal.world import World


class NotPlayedError(Exception):
    """A command that rehearsals do not know."""


def do(world: World, command: str) -> str:
    """Do what a command line says, such as `remove-unit ceph/0` or `run ceph/leader add-disk osd-devices=file:3G`.

    Returns:
        The operation's task for `run`, else nothing.

    Raises:
        ModelError: The model refuses it.
        NotPlayedError: It is none that a rehearsal plays.
    """
    done = _do(world, command)
    world.forget_agents()
    return done


def _do(world: World, command: str) -> str:
    verb, *words = (word for word in shlex.split(command) if not word.startswith("--"))
    _tell_twins(world, command, words if verb == "remove-application" else words[:1])
    match verb, words:
        case "run", [unit, action, *parameters]:
            return _run_action(world, unit, action, parameters)
        case "config", [application, *values]:
            configuration.set_options(world.state, application, _options(world.state, values))
        case "add-unit", [application, *placements]:  # those of --to
            units.add(world.state, application, to=placements, now=world.now)
        case "remove-application", [_, *_]:
            for name in words:
                _remove(world, verb, name, forced="--force" in shlex.split(command))
        case "remove-unit" | "remove-machine", [name]:
            _remove(world, verb, name, forced="--force" in shlex.split(command))
        case "lose-machine", [name]:
            world.lose_machine(name)
        case "integrate", [first, second]:
            relations.integrate(world.state, first, second, now=world.now)
        case "remove-relation", [first, second]:
            relations.remove(world.state, first, second, now=world.now)
        case "add-secret" | "update-secret" | "grant-secret", [name, *words]:
            _supply(world, verb, name, words)
        case "refresh", [application]:
            charm = world.stage.bundle.applications[application].charm
            archive = str(world.stage.bundle.applications[application].archive)
            applications.refresh(world.state, application, charm, archive=archive, now=world.now)
        case _:
            raise NotPlayedError(
                f"a rehearsal does not play {command!r}; it plays run UNIT ACTION, config APPLICATION NAME=VALUE, "
                "add-unit, remove-unit, remove-application, remove-machine, integrate, remove-relation, refresh, lose-machine, "
                "add-secret NAME KEY=VALUE, update-secret NAME KEY=VALUE, grant-secret NAME APPLICATION"
            )
    return ""


def _tell_twins(world: World, command: str, names: Sequence[str]) -> None:
    """Tell twins what an operator asks of units: of one, of those of an application, or of those on a machine."""
    for application, twin in world.twins.items():
        own = [unit for unit in world.state.units if unit.application == application]
        meant = [unit for unit in own if {unit.name, application, unit.machine} & {*names}]
        if meant:
            twin.asked(
                command, [world.machines[unit.machine] for unit in meant if unit.machine in world.machines]
            )


def _remove(world: World, verb: str, name: str, *, forced: bool) -> None:
    if forced:
        meant = [unit for unit in world.state.units if name in {unit.name, unit.principal, unit.application}]
        world.given_up |= {unit.name: unit.machine for unit in meant}
    match verb:
        case "remove-unit":
            units.remove(world.state, [name], now=world.now, force=forced)
        case "remove-application":
            applications.remove(world.state, name, now=world.now, force=forced)
        case _:
            machines.remove(world.state, name, now=world.now, force=forced)


def _run_action(world: World, unit: str, action: str, words: Sequence[str]) -> str:
    given = {
        key: relation_id(world.state, unit, value) or value_of(value)
        for key, value in (word.split("=", 1) for word in words)
    }
    operation = actions.enqueue(world.state, [unit], action, given, world.now)
    return world.state.operations[operation].tasks[0]


def relation_id(state: State, unit: str, value: str) -> int | None:
    """Return which relation `relation:ENDPOINT` names, which Juju does not know: the first that a unit has there.

    Raises:
        ModelError: There is none.
    """
    word, _, endpoint = value.partition(":")
    if word != "relation":
        return None
    application = unit.partition("/")[0]
    for relation in state.relations:
        if any(end.application == application and end.name == endpoint for end in relation.endpoints):
            return relation.id
    raise ModelError(f"{application} has no relation on {endpoint}")


def _supply(world: World, verb: str, name: str, words: Sequence[str]) -> None:
    """Add, change or grant a secret of the operator's."""
    if verb == "grant-secret":
        secrets.grant_user_secret(world.state, name, words)
        return
    content = dict(word.split("=", 1) for word in words)
    if verb == "add-secret":
        secrets.add_user_secret(world.state, name, content, now=world.now)
    else:
        secrets.update_user_secret(world.state, name, content=content, now=world.now)
    world.note_credentials()


def _options(state: State, words: Sequence[str]) -> dict[str, str]:
    """Return options' values; `secret:NAME`, which Juju does not know, is the id of the operator's secret NAME."""
    known = {f"secret:{one.name}": f"secret:{one.id}" for one in state.secrets if one.name}
    given = dict(word.split("=", 1) for word in words)
    return {key: known.get(value, value) for key, value in given.items()}


def first_line(command: str) -> str:
    """Return the first line of a command: what follows are certificates."""
    first, *more = command.splitlines()
    return f"{first} ..." if more else first
