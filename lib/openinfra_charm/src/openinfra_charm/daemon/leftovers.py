"""What a unit leaves on a machine when it goes without `stop` and `remove`, and who clears it.

Juju gives a unit up whose hooks fail while its application is removed, and one that is removed by force; neither runs its
last hooks. So each unit records on its machine what it would take away, and the next unit there, of the same application or one
that wants the same daemon, or the `host` charm clears what is recorded of units that are gone. In `_reconcile`, first:

    leftovers.occupy(self.machine, self.unit.name, self.memcached.footprint)

Data of users are never removed by this: the services stop, the data stay where they are, and it is said.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from openinfra_charm.daemon import registry
from openinfra_charm.daemon.job import Jobs
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.services import Services
from openinfra_charm.model.status import NeedsOperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openinfra_charm.machine import Machine

AGENTS = "/var/lib/juju/agents"
"""Where Juju has a folder for each unit of the machine, from before its first hook until after its last."""
APPLICATIONS = "/var/lib/openinfra"
KEPT = "/var/lib/openinfra/kept"
"""One file a unit that has left data behind: their folders, a line each."""
_RECORD = "unit.json"
_MARK = "openinfra"


@dataclass(frozen=True, kw_only=True, slots=True)
class Occupant:
    """A unit as it has recorded itself. `mark` is what it has written into its own folder of Juju's, which goes with it."""

    unit: str
    mark: str
    footprint: Footprint

    @property
    def application(self) -> str:
        """The application that it is of."""
        return self.unit.partition("/")[0]


def occupy(machine: Machine, unit: str, footprint: Footprint) -> None:
    """Have a place on the machine for a unit, and record what it takes; what units that are gone have left there is cleared.

    Raises:
        NeedsOperatorError: Another unit has the place, or one that is gone has left data in it.
    """
    application = unit.partition("/")[0]
    _clear_before(machine, unit, footprint)
    _forget_emptied(machine)
    present = _occupant(machine, application)
    if present and present.unit != unit:
        raise NeedsOperatorError(f"{present.unit} is on this machine already: remove one of the two")
    for gone, folders in kept(machine).items():
        if set(folders) & set(footprint.data):
            raise NeedsOperatorError(
                f"{gone} is gone and has left data in {', '.join(folders)}: save them and empty what is left there"
            )
    if footprint.daemon:
        owner = registry.claim(machine, footprint.daemon, unit)
        if owner != unit:
            raise NeedsOperatorError(f"{owner} {footprint.does} already: remove one of the two")
    mark = machine.read(_mark_path(unit))
    if not machine.exists(_agent(unit)):
        return
    if mark is None:
        mark = uuid.uuid4().hex
        machine.write(_mark_path(unit), mark)
    record = Occupant(unit=unit, mark=mark, footprint=footprint)
    machine.write(
        f"{APPLICATIONS}/{application}/{_RECORD}", f"{json.dumps(asdict(record), sort_keys=True)}\n"
    )


def has_place(machine: Machine, unit: str) -> bool:
    """Return whether it is this unit, and no other of its application, whose files are on the machine."""
    present = _occupant(machine, unit.partition("/")[0])
    return present is None or present.unit == unit


def clear_all(machine: Machine, unit: str) -> None:
    """Clear what all units have left that are gone; `unit` is the one that does so."""
    if not machine.exists(_agent(unit)):
        return
    _forget_emptied(machine)
    for occupant in _gone(machine):
        _clear(machine, occupant)
    for thing in machine.list_folder(registry.OWNERS):
        owner = registry.owner(machine, thing)
        # What its own application has only one of, whoever clears knows best.
        if owner.partition("/")[0] in {"", unit.partition("/")[0]}:
            continue
        if not machine.exists(_agent(owner)):
            _clear(machine, Occupant(unit=owner, mark="", footprint=Footprint(daemon=thing)))


def kept(machine: Machine) -> dict[str, list[str]]:
    """Return the folders with data that units have left behind, by unit, as long as there is something in them."""
    found: dict[str, list[str]] = {}
    for name in machine.list_folder(KEPT):
        unit, *folders = (machine.read(f"{KEPT}/{name}") or "").splitlines()
        if full := [folder for folder in folders if _holds_something(machine, folder)]:
            found[unit] = full
    return found


def _forget_emptied(machine: Machine) -> None:
    """Take those off the record whose data are saved or deleted: what is there afterwards is somebody else's."""
    left = {_kept_path(unit) for unit in kept(machine)}
    for path in {f"{KEPT}/{name}" for name in machine.list_folder(KEPT)} - left:
        machine.remove(path)
    if not left:
        machine.remove(KEPT)


def _kept_path(unit: str) -> str:
    return f"{KEPT}/{unit.replace('/', '-')}"


def _clear_before(machine: Machine, unit: str, footprint: Footprint) -> None:
    """Clear what is in the way of a unit."""
    application = unit.partition("/")[0]
    if not machine.exists(_agent(unit)):
        return
    for occupant in _gone(machine):
        same_daemon = footprint.daemon and occupant.footprint.daemon == footprint.daemon
        if occupant.application == application or same_daemon:
            _clear(machine, occupant)
    owner = registry.owner(machine, footprint.daemon) if footprint.daemon else ""
    if owner not in {"", unit} and not machine.exists(_agent(owner)):
        # It is of a time in which units recorded no more than this. What it had is where this one would have it.
        _clear(machine, Occupant(unit=owner, mark="", footprint=footprint))


def _clear(machine: Machine, occupant: Occupant) -> None:
    """Stop what a unit that is gone has left running, and take away what it recorded, but for data.

    Its record goes last: what is interrupted here begins again. Its packages stay, as if the machine had had them before.
    """
    application, footprint = occupant.application, occupant.footprint
    Jobs(machine, application, occupant.unit).stop()
    units = Services(machine, application).units
    states = machine.service_states(*units)
    running = {unit for unit, state in states.items() if state != "inactive"}
    for unit in sorted(running | machine.enabled_services(*units)):
        machine.stop_services(unit)
    if full := [folder for folder in footprint.data if _holds_something(machine, folder)]:
        lines = "".join(f"{line}\n" for line in (occupant.unit, *full))
        machine.write(_kept_path(occupant.unit), lines)
    for path in footprint.paths:
        machine.remove(path)
    if footprint.paths:
        machine.reload_systemd()
    if footprint.user:
        machine.remove_user(footprint.user)
    registry.remove_checks(machine, application)
    registry.leave(machine, application)
    for thing in machine.list_folder(registry.OWNERS):
        registry.disclaim(machine, thing, occupant.unit)
    machine.remove(f"{APPLICATIONS}/{application}")


def _gone(machine: Machine) -> Iterator[Occupant]:
    """Yield the units on record that are on the machine no more, be it that another one has their name now."""
    for application in machine.list_folder(APPLICATIONS):
        occupant = _occupant(machine, application)
        if occupant and machine.read(_mark_path(occupant.unit)) != occupant.mark:
            yield occupant


def _occupant(machine: Machine, application: str) -> Occupant | None:
    text = machine.read(f"{APPLICATIONS}/{application}/{_RECORD}")
    if text is None:
        return None
    facts = json.loads(text)
    left = facts["footprint"]
    left |= {"paths": tuple(left["paths"]), "data": tuple(left["data"])}
    return Occupant(unit=facts["unit"], mark=facts["mark"], footprint=Footprint(**left))


def _holds_something(machine: Machine, folder: str) -> bool:
    return bool(set(machine.list_folder(folder)) - {"lost+found"})


def _agent(unit: str) -> str:
    return f"{AGENTS}/unit-{unit.replace('/', '-')}"


def _mark_path(unit: str) -> str:
    return f"{_agent(unit)}/{_MARK}"
