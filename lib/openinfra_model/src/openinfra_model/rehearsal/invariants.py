"""What must hold in every schedule: each invariant has a name and a sentence."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openinfra_charm.testing import MemoryMachine
    from openinfra_model.rehearsal.world import Ran, World


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that must hold."""

    name: str
    sentence: str


CONVERGES = Invariant("converges", "all units become active within a bounded number of hooks")
SILENT = Invariant("silent", "one more config-changed and update-status change nothing")
PROMPT = Invariant(
    "prompt",
    "while nothing goes wrong, no unit waits until Juju's next update-status for what is there already",
)
PATIENT = Invariant("patient", "no hook and no action holds for longer than a minute")
NO_TRACEBACK = Invariant("no-traceback", "no hook fails by an error that nobody expected")
DONE = Invariant("done", "what the operator asks for is done")
NEEDED_RESTARTS = Invariant(
    "needed-restarts", "a service restarts only when a file that configures it has changed"
)
ONE_AT_A_TIME = Invariant("one-at-a-time", "an application never restarts on two machines at once")
SAYS_WHY = Invariant("says-why", "a unit that is not active says why")
SECRET = Invariant("secret", "a credential is in secrets and in files of its owner, nowhere else")
LEAVES_NOTHING = Invariant(
    "leaves-nothing", "a unit that is removed leaves nothing of its own on a machine that stays"
)
ROOTS_OWN = Invariant("roots-own", "nothing of root's is changed through a link that a service has planted")
REFUSED = Invariant("refused", "an action that fails has changed nothing")
WHOLE_FILES = Invariant("whole-files", "a power loss leaves each file as it was or as it was to be")
SAME_FILES = Invariant(
    "same-files", "the files of a machine are a function of what the model says in the end"
)
SOFTWARE = Invariant("software", "what the software's own twin forbids never is")
CERTIFICATES = Invariant(
    "certificates", "what is served in the end has not expired, and leads to a CA that its clients trust"
)
ROTATED = Invariant(
    "rotated", "a credential that was replaced is nowhere on a machine in the end, and lets nobody in"
)
SERVED = Invariant("served", "nobody who was served before is unserved at rest without a status that says so")

ALL = (
    CONVERGES, SILENT, PROMPT, PATIENT, NO_TRACEBACK, DONE, NEEDED_RESTARTS, ONE_AT_A_TIME, SAYS_WHY, SECRET, LEAVES_NOTHING,
    REFUSED, ROOTS_OWN, WHOLE_FILES, SAME_FILES, SOFTWARE, CERTIFICATES, ROTATED, SERVED,
)  # fmt: skip

_GENERATED = (
    (re.compile(r"-----BEGIN.*?-----END [A-Z ]+-----", re.DOTALL), "PEM"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "SHA-256"),
    (re.compile(r"\b\d{7,}\.\d+\b"), "TIME"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\b[A-Za-z0-9+/]{38}==|\b[A-Za-z0-9+/]{59}="), "KEY"),
    (re.compile(r"(?<![\w-])[\w-]{32}(?![\w-])"), "PASSWORD"),
)


class Violation(Exception):  # noqa: N818  it is what a rehearsal looks for, not what goes wrong with it
    """An invariant that does not hold."""

    def __init__(self, invariant: Invariant, what: str) -> None:
        super().__init__(f"{invariant.name}: {what}")
        self.invariant = invariant
        self.what = what


def check_step(world: World) -> None:
    """Check what must hold at any moment.

    Raises:
        Violation: It does not.
    """
    for sentence in world.violations():
        raise Violation(SOFTWARE, sentence)
    for unit, (status, message) in world.statuses().items():
        if status in {"waiting", "blocked", "maintenance"} and not message:
            raise Violation(SAYS_WHY, f"{unit} is {status} and says nothing")
    _check_machines(world)
    restarting = [machine for machine in world.machines.values() if machine.restarting]
    for application in world.state.applications if len(restarting) > 1 else ():
        down = [machine.name for machine in restarting if _restarts(machine, application.name)]
        if len(down) > 1:
            raise Violation(ONE_AT_A_TIME, f"{application.name} restarts on {' and '.join(down)} at once")


def _check_machines(world: World) -> None:
    for machine in world.machines.values():
        for service in machine.needless:
            raise Violation(
                NEEDED_RESTARTS,
                f"{machine.name} has restarted {service} with the same keyrings and files below /etc",
            )
        for path in machine.torn:
            raise Violation(WHOLE_FILES, f"{path} of {machine.name} is empty")
    for name in world.machines:
        if world.roots_own_is_changed(name):
            raise Violation(ROOTS_OWN, f"a file of root's on machine {name} is other than it was")


def _restarts(machine: MemoryMachine, application: str) -> bool:
    return bool(machine.restarting & set(machine.list_folder(f"/var/lib/openinfra/{application}/services")))


def check_end(world: World) -> None:
    """Check what must hold when all is settled.

    Raises:
        Violation: It does not.
    """
    for sentence in world.unfinished():
        raise Violation(SOFTWARE, sentence)
    for machine in world.machines.values():
        for trace in _traces(world, machine):
            raise Violation(LEAVES_NOTHING, f"{machine.name} still has {trace}")


def _traces(world: World, machine: MemoryMachine) -> Iterator[str]:
    """Yield what is on a machine of applications that have no unit there any more."""
    here = {unit.application for unit in world.state.units if world.machines.get(unit.machine) is machine}
    # One that was given up has run no hook in which it could take anything away.
    here |= {
        unit.partition("/")[0] for unit, name in world.given_up.items() if world.machines.get(name) is machine
    }
    for application in set(world.stage.bundle.applications) - here:
        places = (
            f"/var/lib/openinfra/{application}", f"/etc/openinfra/packages.d/{application}",
            f"/usr/lib/openinfra/safe-to-stop.d/{application}", f"/usr/lib/openinfra/after-start.d/{application}",
        )  # fmt: skip
        yield from (place for place in places if machine.exists(place))
    units = {unit.name for unit in world.state.units} | world.given_up.keys()
    for thing in machine.list_folder("/var/lib/openinfra/owners"):
        owner = (machine.read(f"/var/lib/openinfra/owners/{thing}") or "").strip()
        if owner not in units:
            yield f"{owner} as the owner of {thing}"


# Silence


def relation_data(world: World) -> dict[str, Any]:
    """Return what all relations hold, by relation and member."""
    return {
        f"{relation.id} {name}": dict(bag.content)
        for relation in world.state.relations
        for name, bag in (*relation.units.items(), *relation.applications.items())
    }


def fingerprint(world: World) -> tuple[Any, ...]:
    """Return what a hook with nothing to do must leave as it is."""
    secrets = {secret.id: len(secret.revisions) for secret in world.state.secrets}
    reboots = {machine.id: machine.reboot_wanted for machine in world.state.machines}
    return relation_data(world), secrets, world.statuses(), reboots


def check_silent(world: World, ran: Ran, before: tuple[Any, ...]) -> None:
    """Check that a hook with nothing to do has changed nothing.

    Raises:
        Violation: It has.
    """
    if ran.changes:
        raise Violation(SILENT, f"{ran.unit} {ran.what} changes its machine: {'; '.join(ran.changes)}")
    for name, was, now in zip(
        ("relation data", "secrets", "statuses", "reboots"), before, fingerprint(world), strict=True
    ):
        if was != now:
            raise Violation(SILENT, f"{ran.unit} {ran.what} changes {name}: {_difference(was, now)}")


def check_refused(world: World, ran: Ran, before: dict[str, Any]) -> None:
    """Check that an action that fails has changed nothing.

    Raises:
        Violation: It has.
    """
    if ran.changes or relation_data(world) != before:
        what = "; ".join(ran.changes) or _difference(before, relation_data(world))
        raise Violation(REFUSED, f"{ran.unit} {ran.what} fails ({ran.message}) and has changed: {what}")


def _difference(was: dict[str, Any], now: dict[str, Any]) -> str:
    keys = [key for key in was.keys() | now.keys() if was.get(key) != now.get(key)]
    return "; ".join(f"{key}: {was.get(key)} is now {now.get(key)}" for key in sorted(keys))


# The same files


def final_files(world: World) -> dict[str, int]:
    """Return a hash of each file below /etc by machine and path, with generated values replaced by what they are."""
    return {
        f"{machine.name}:{path}": hash(normalised(node.content))
        for machine in world.machines.values()
        for path, node in machine.nodes.items()
        if path.startswith("/etc/") and node.content is not None
    }


def model_end(world: World) -> str:
    """Return what the model says in the end, as far as files may depend on it."""
    bags = {
        f"{relation.id} {name}": dict(bag.content)
        for relation in world.state.relations
        for name, bag in relation.applications.items()
    }
    config = {application.name: dict(application.config) for application in world.state.applications}
    placed = {
        unit.name: (unit.machine, world.machines[unit.machine].name)
        for unit in world.state.units
        if unit.machine in world.machines
    }
    return normalised(json.dumps([bags, config, placed], sort_keys=True))


def normalised(text: str) -> str:
    """Replace generated values by their kind."""
    for pattern, name in _GENERATED:
        text = pattern.sub(name, text)
    return text


def check_files(expected: dict[str, int], found: dict[str, int]) -> None:
    """Check that two schedules with the same end have made the same files.

    Raises:
        Violation: They have not.
    """
    for path in sorted(expected.keys() | found.keys()):
        if expected.get(path) != found.get(path):
            raise Violation(SAME_FILES, f"{path} differs from another schedule with the same end")
