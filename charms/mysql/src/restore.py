"""Putting a backup in the place of the whole cluster's data, with all units.

The leader says how far it is (`restore`: a number, the backup, the unit that takes it back, a phase), each unit what it has
done. In the phase `prepare` the chosen unit makes data of the backup while the cluster serves: what is wrong with the
backup is found there, and nothing has changed. In `stop` every member stops its server, for good: clients are cut off, and a
power loss starts none. In `swap` the chosen unit puts the data in their place. In `begin` it begins a new cluster with them,
and the others drop theirs and ask for a member that serves (recovery.py): however long its server takes, theirs start
when it does, and join it by a copy. When the leader's server has them, users get the passwords that clients have, clients are told, and
it is done.

Each step can be taken twice, so that a hook that dies, or a machine, goes on where it was.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ops

import clients
import schedule
from mysql import DATA, UNIT
from state import Position, Recovery

if TYPE_CHECKING:
    from charm import MySqlCharm
    from state import State

PREPARE, STOP, SWAP, BEGIN = "prepare", "stop", "swap", "begin"
JOB = "jobs.prepare_restore"
SECONDS = 15
"""How long a hook waits for the data to be ready, besides the server; the next hook goes on where this one gives up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Restore:
    """A restore as the leader has it on record."""

    number: int
    backup: str
    unit: str
    phase: str


def current(charm: MySqlCharm) -> Restore | None:
    """Return the restore that is under way."""
    found = charm.cluster.shared.get("restore")
    return Restore(**found) if found else None


def begin(charm: MySqlCharm, name: str, unit: str) -> None:
    """As the leader, begin a restore."""
    number = charm.cluster.shared.get("restores", 0) + 1
    _go_on(charm, Restore(number=number, backup=name, unit=unit, phase=PREPARE))


def prepared(number: int) -> str:
    """Return where data are made from a backup: on the file system that they are going to be on."""
    return f"{DATA}.restore-{number}"


def replaced(number: int) -> str:
    """Return where the data are that a restore has replaced."""
    return f"{DATA}.before-restore-{number}"


def follow(charm: MySqlCharm, state: State) -> bool:
    """Do this unit's part; return whether its server is to be left alone."""
    restore = current(charm)
    if restore is None:
        charm.cluster.publish(restored=None)
        return False
    is_chosen = restore.unit == charm.unit.name
    if restore.phase == PREPARE:
        if is_chosen:
            _prepare(charm, restore)
        return False
    if restore.phase == BEGIN and (is_chosen or _state(charm, restore, charm.unit.name) == "dropped"):
        return False
    charm.missing.append(ops.MaintenanceStatus(f"restoring {restore.backup}: no clients are served"))
    charm.mysql.services.stop(UNIT)
    position = Position(seqno=-1, uuid="", safe=False, after=state.recovery.number)
    charm.cluster.publish(position=dataclasses.asdict(position), serves=None)
    if restore.phase == BEGIN:
        for name in charm.machine.list_folder(DATA):
            charm.machine.remove(f"{DATA}/{name}")
        _tell(charm, restore, "dropped")
    elif restore.phase == SWAP and is_chosen:
        _swap(charm, restore)
        _tell(charm, restore, "in place")
    else:
        _tell(charm, restore, "stopped")
    return True


def lead(charm: MySqlCharm, *, serves: bool) -> bool:
    """As the leader, go to the next phase when all that it needs is there.

    Returns:
        Whether all members are to be stopped, or have been until this hook: then nobody else may be told to begin.
    """
    restore = current(charm)
    if restore is None:
        return False
    done = _state(charm, restore, restore.unit)
    if _is_lost(charm, restore) or (restore.phase == PREPARE and done == "failed"):
        charm.cluster.publish_shared(restore=None)
    elif restore.phase == PREPARE and done == "ready":
        _go_on(charm, dataclasses.replace(restore, phase=STOP))
    elif restore.phase == STOP and not _lagging(charm, restore, "stopped"):
        _go_on(charm, dataclasses.replace(restore, phase=SWAP))
    elif restore.phase == SWAP and done == "in place":
        answer = Recovery(unit=restore.unit, number=charm.recovery.number + 1, begin=True)
        charm.cluster.publish_shared(recovery=dataclasses.asdict(answer))
        _go_on(charm, dataclasses.replace(restore, phase=BEGIN))
    elif restore.phase == BEGIN and serves and not _lagging(charm, restore, "dropped"):
        clients.make_anew(charm)
        charm.cluster.publish_shared(restore=None, restored=restore.number)
    return restore.phase in {STOP, SWAP}


def begins(charm: MySqlCharm) -> bool:
    """Return whether the chosen unit begins a new cluster with its data, and nobody else has any."""
    restore = current(charm)
    return restore is not None and restore.phase == BEGIN


def does_without(charm: MySqlCharm) -> bool:
    """Return whether this unit's data are just being given up for those that another unit, which stays, begins with."""
    restore = current(charm)
    if restore is None or restore.phase == PREPARE or restore.unit == charm.unit.name:
        return False
    return restore.unit in charm.cluster.staying


def waits_for(charm: MySqlCharm) -> str:
    """Say what a restore waits for; empty where none is under way."""
    restore = current(charm)
    if restore is None:
        return ""
    words = {
        PREPARE: f"{restore.unit} makes data of the backup; clients are served meanwhile",
        STOP: f"{', '.join(_lagging(charm, restore, 'stopped')) or 'the leader'} to stop",
        SWAP: f"{restore.unit} to put the data in their place",
        BEGIN: f"{restore.unit} to begin a new cluster, and the others to join it",
    }
    return f"restoring {restore.backup}: {words[restore.phase]}"


def _go_on(charm: MySqlCharm, restore: Restore) -> None:
    charm.cluster.publish_shared(restore=dataclasses.asdict(restore), restores=restore.number)


def _lagging(charm: MySqlCharm, restore: Restore, state: str) -> list[str]:
    """Return the members that have not said that they have stopped, or dropped their data; the chosen one drops none."""
    members = [unit for unit, _ in charm.cluster.shared["members"]]
    asked = [unit for unit in members if state == "stopped" or unit != restore.unit]
    gone = charm.cluster.gone(asked)
    return [unit for unit in asked if unit not in gone and _state(charm, restore, unit) != state]


def _is_lost(charm: MySqlCharm, restore: Restore) -> bool:
    """Return whether the chosen unit is gone from the model, with data that no other server has."""
    rest = [member for unit, _ in charm.cluster.shared["members"] if (member := charm.members.get(unit))]
    nobody_has = restore.phase == PREPARE or all(member.position for member in rest)
    return nobody_has and bool(charm.cluster.gone([restore.unit]))


def _state(charm: MySqlCharm, restore: Restore, unit: str) -> str | None:
    """Return what a unit says that it has done in this restore."""
    told = charm.cluster.facts(unit).get("restored") or {}
    return told.get("state") if told.get("number") == restore.number else None


def _tell(charm: MySqlCharm, restore: Restore, state: str) -> None:
    charm.cluster.publish(restored={"number": restore.number, "state": state})


def _prepare(charm: MySqlCharm, restore: Restore) -> None:
    if _state(charm, restore, restore.unit):
        return
    words = {"name": restore.backup, "number": str(restore.number), **schedule.arguments(charm)}
    known = [
        one for one in charm.jobs.all() if one.module == JOB and one.arguments["number"] == words["number"]
    ]
    record = known[-1] if known else charm.jobs.start(JOB, **words)
    charm.jobs.wait(record.id, SECONDS)
    record = charm.jobs.find(record.id) or record
    if record.ended is not None:
        _tell(charm, restore, "ready" if record.state == "done" else "failed")


def _swap(charm: MySqlCharm, restore: Restore) -> None:
    """Put the prepared data in the place of the old ones, by two renames that can each be the last before a power loss."""
    machine, new = charm.machine, prepared(restore.number)
    if not machine.exists(new):
        return
    if machine.exists(DATA) and not machine.exists(replaced(restore.number)):
        machine.move_folder(DATA, replaced(restore.number))
    machine.remove(DATA)
    machine.move_folder(new, DATA)
    machine.run("chmod", "0755", DATA)
