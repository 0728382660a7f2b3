"""Putting a backup in the place of the whole cluster's data, with all units.

The leader says how far it is (`restore`: a number, the backup, the unit that takes it back, a phase), each unit what it has
done. In the phase `prepare` the chosen unit makes data of the backup while the cluster serves: what is wrong with the
backup is found there, and nothing has changed. In `stop` every member stops its server, for good: clients are cut off, and a
power loss starts none. In `swap` the chosen unit puts the data in their place. In `begin` it begins a new cluster with them,
and the others put theirs aside and ask for a member that serves (recovery.py): however long its server takes, theirs start
when it does, and join it by a copy. When the leader's server has them, users get the passwords that clients have, clients are told, and
the phase is `copy`: it is over when all members have copied the data. Only then they delete what they have put aside.

A restore whose unit is gone from the model, with data that nobody else has, is abandoned: the others put theirs back.

Each step can be taken twice, so that a hook that dies, or a machine, goes on where it was.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ops

import clients
import schedule
from mysql import DATA, UNIT
from state import Position, Recovery

if TYPE_CHECKING:
    from collections.abc import Callable

    from charm import MySqlCharm
    from state import State

PREPARE, STOP, SWAP, BEGIN, COPY = "prepare", "stop", "swap", "begin", "copy"
JOB = "jobs.prepare_restore"
SECONDS = 15
"""How long a hook waits for the data to be ready, besides the server; the next hook goes on where this one gives up."""
KEPT_SECONDS = 7 * 86400
"""For how long the data that a restore has replaced are kept, unless another one replaces data before."""


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
    """Return where the data are that a restore has replaced, on the unit that has taken the backup back."""
    return f"{DATA}.before-restore-{number}"


def aside(number: int) -> str:
    """Return where another unit's data are until it has copied those that are restored."""
    return f"{DATA}.aside-{number}"


def follow(charm: MySqlCharm, state: State) -> bool:
    """Do this unit's part; return whether its server is to be left alone."""
    restore = current(charm)
    if restore is None:
        charm.cluster.publish(restored=None)
        return _tidy_up(charm, state)
    is_chosen = restore.unit == charm.unit.name
    if restore.phase == PREPARE:
        if is_chosen:
            _prepare(charm, restore)
        return False
    has_begun = restore.phase == BEGIN and (is_chosen or _state(charm, restore, charm.unit.name) == "aside")
    if has_begun or restore.phase == COPY:
        return False
    charm.missing.append(ops.MaintenanceStatus(f"restoring {restore.backup}: no clients are served"))
    charm.mysql.services.stop(UNIT)
    if restore.phase == BEGIN:
        _put_aside(charm, restore)
        _report(charm, state, Position(seqno=-1, uuid="", safe=False, after=state.recovery.number))
        _tell(charm, restore, "aside")
        return True
    _report(charm, state)
    if restore.phase == SWAP and is_chosen:
        _swap(charm, restore)
        _tell(charm, restore, "in place")
    else:
        _tell(charm, restore, "stopped")
    return True


def tell_copied(charm: MySqlCharm) -> None:
    """As a member that serves, say that it has all data that are restored."""
    restore = current(charm)
    if restore and restore.phase == COPY:
        _tell(charm, restore, "copied")


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
        charm.cluster.publish_shared(restore=None, abandoned=restore.number)
    elif restore.phase == PREPARE and done == "ready":
        _go_on(charm, dataclasses.replace(restore, phase=STOP))
    elif restore.phase == STOP and not _lagging(charm, restore, "stopped"):
        _go_on(charm, dataclasses.replace(restore, phase=SWAP))
    elif restore.phase == SWAP and done == "in place":
        answer = Recovery(unit=restore.unit, number=charm.recovery.number + 1, begin=True)
        charm.cluster.publish_shared(recovery=dataclasses.asdict(answer))
        _go_on(charm, dataclasses.replace(restore, phase=BEGIN))
    elif restore.phase == BEGIN and serves and not _lagging(charm, restore, "aside"):
        clients.make_anew(charm)
        charm.cluster.publish_shared(restored=restore.number)
        _go_on(charm, dataclasses.replace(restore, phase=COPY))
    elif restore.phase == COPY and not _lagging(charm, restore, "copied"):
        charm.cluster.publish_shared(restore=None)
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
        COPY: f"{', '.join(_lagging(charm, restore, 'copied')) or 'the leader'} to copy the data; clients are served",
    }
    return f"restoring {restore.backup}: {words[restore.phase]}"


def _go_on(charm: MySqlCharm, restore: Restore) -> None:
    charm.cluster.publish_shared(restore=dataclasses.asdict(restore), restores=restore.number)


def _lagging(charm: MySqlCharm, restore: Restore, state: str) -> list[str]:
    """Return the members that have not said that they are so far; the chosen one puts no data aside."""
    members = [unit for unit, _ in charm.cluster.shared["members"]]
    asked = [unit for unit in members if state != "aside" or unit != restore.unit]
    gone = charm.cluster.gone(asked)
    return [unit for unit in asked if unit not in gone and _state(charm, restore, unit) != state]


def _is_lost(charm: MySqlCharm, restore: Restore) -> bool:
    """Return whether the chosen unit is gone from the model, with data that no other server has."""
    rest = [member for unit, _ in charm.cluster.shared["members"] if (member := charm.members.get(unit))]
    if any(_state(charm, restore, member.unit) == "copied" for member in rest):
        return False
    nobody_has = restore.phase == PREPARE or all(member.position for member in rest)
    return nobody_has and bool(charm.cluster.gone([restore.unit]))


def _state(charm: MySqlCharm, restore: Restore, unit: str) -> str | None:
    """Return what a unit says that it has done in this restore."""
    told = charm.cluster.facts(unit).get("restored") or {}
    return told.get("state") if told.get("number") == restore.number else None


def _tell(charm: MySqlCharm, restore: Restore, state: str) -> None:
    charm.cluster.publish(restored={"number": restore.number, "state": state})


def _report(charm: MySqlCharm, state: State, position: Position | None = None) -> None:
    """Publish how far the data of the stopped server go, unless it is known; `position` where there are none."""
    known = state.member.position
    if position is None and known and known.after == state.recovery.number:
        return
    if position is None:
        uuid, seqno, safe = charm.mysql.position()
        position = Position(seqno=seqno, uuid=uuid, safe=safe, after=state.recovery.number)
    charm.cluster.publish(position=dataclasses.asdict(position), serves=None)


def _put_aside(charm: MySqlCharm, restore: Restore) -> None:
    if not charm.machine.exists(aside(restore.number)):
        charm.machine.move_folder(DATA, aside(restore.number))
    charm.machine.make_folder(DATA, user="mysql", group="mysql")


def _tidy_up(charm: MySqlCharm, state: State) -> bool:
    """Put back or delete what restores that are over have left; return whether the server is to be left alone."""
    machine = charm.machine
    beside = machine.list_folder(posixpath.dirname(DATA))
    for path in _left_by(beside, aside):
        if path == aside(charm.cluster.shared.get("abandoned", 0)):
            charm.mysql.services.stop(UNIT)
            machine.remove(DATA)
            machine.move_folder(path, DATA)
            uuid, seqno, safe = charm.mysql.position()
            after = state.recovery.number
            _report(charm, state, Position(seqno=seqno, uuid=uuid, safe=safe, after=after))
            charm.missing.append(ops.WaitingStatus("for the leader to say who begins the cluster again"))
            return True
        if charm.mysql.is_ready():
            machine.remove(path)
    if not any(record.module == JOB for record in charm.jobs.unfinished()):
        for path in _left_by(beside, prepared):
            machine.remove(path)
    _prune_replaced(charm, _left_by(beside, replaced))
    return False


def _left_by(names: list[str], place: Callable[[int], str]) -> list[str]:
    """Return the paths of those names that restores have given to their folders, by number."""
    pattern = re.escape(posixpath.basename(place(0))).removesuffix("0") + r"(\d+)(\.\w+)?"
    found = [(int(match[1]), name) for name in names if (match := re.fullmatch(pattern, name))]
    return [f"{posixpath.dirname(DATA)}/{name}" for _, name in sorted(found)]


def _prune_replaced(charm: MySqlCharm, paths: list[str]) -> None:
    """Delete the data that restores have replaced: all but the newest, and that after some days."""
    machine, note = charm.machine, f"/var/lib/openinfra/{charm.app.name}/replaced"
    for path in paths[:-1]:
        machine.remove(path)
    if not paths:
        return
    path, _, since = (machine.read(note) or "").partition(" ")
    if path != paths[-1]:
        machine.write(note, f"{paths[-1]} {machine.now()}")
    elif machine.now() - float(since) > KEPT_SECONDS:
        machine.remove(path)
        machine.remove(note)


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
