"""Putting a backup in the place of the whole cluster's data, with all units.

The leader publishes how far it is (`restore`: a number, the backup, the unit that restores it, a phase), each unit what it has
done. In the phase `prepare` the chosen unit makes data of the backup while the cluster serves: what is wrong with the
backup is found there, and nothing has changed. In `stop` every member stops its server, for good: clients are cut off, and a
power loss starts none. In `swap` the chosen unit puts the data in their place. In `begin` it begins a new cluster with them,
and the others put theirs aside and ask for a member that serves (membership.py): however long its server takes, theirs start
when it does, and join it by a copy. When the leader's server has them, users get the passwords that clients have, the restore is
published to clients, and the phase is `copy`: it is over when all members have copied the data. Only then they delete what they
have put aside.

A restore whose unit is gone from the model, with data that nobody else has, is abandoned: the others put theirs back.

Each step can be taken twice, so that a hook that dies, or a machine, goes on where it was.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ops

from mysql import ASIDE, DATA, PREPARED, REPLACED, UNIT
from state import Position, Recovery

if TYPE_CHECKING:
    from clients import Clients
    from mysql import MySql
    from openinfra_charm.daemon.job import Jobs
    from openinfra_charm.model.cluster import Cluster
    from schedule import Schedule
    from state import Members, Settings, State

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


@dataclass(kw_only=True)
class Restoration:
    """This unit's part in the restore of the whole cluster, and as the leader's unit the way from phase to phase."""

    cluster: Cluster
    members: Members
    mysql: MySql
    jobs: Jobs
    schedule: Schedule
    clients: Clients

    @property
    def _current(self) -> Restore | None:
        """The restore that is under way."""
        found = self.cluster.shared.get("restore")
        return Restore(**found) if found else None

    # What others need to know

    @property
    def begins(self) -> bool:
        """Whether the chosen unit begins a new cluster with its data, and nobody else has any."""
        restore = self._current
        return restore is not None and restore.phase == BEGIN

    @property
    def does_without(self) -> bool:
        """Whether this unit's data are just being given up for those that another unit, which stays, begins with."""
        restore = self._current
        if restore is None or restore.phase == PREPARE or restore.unit == self.members.unit:
            return False
        return restore.unit in self.cluster.staying

    @property
    def progress(self) -> str:
        """What a restore waits for, in words; empty where none is under way."""
        restore = self._current
        if restore is None:
            return ""
        words = {
            PREPARE: f"{restore.unit} prepares the data; clients are served meanwhile",
            STOP: f"waiting for {', '.join(self._lagging(restore, 'stopped')) or 'the leader'} to stop",
            SWAP: f"waiting for {restore.unit} to put the data in their place",
            BEGIN: f"waiting for {restore.unit} to begin a new cluster, and for the others to join it",
            COPY: f"clients are served; waiting for {', '.join(self._lagging(restore, 'copied')) or 'the leader'} "
            "to copy the data",
        }
        return f"restoring {restore.backup}: {words[restore.phase]}"

    # Each unit's part

    def follow(self, state: State) -> ops.StatusBase | None:
        """Do this unit's part; return what is waited for where its server is to be left alone."""
        restore = self._current
        if restore is None:
            self.cluster.publish(restored=None)
            return self._tidy_up(state)
        is_chosen = restore.unit == self.members.unit
        if restore.phase == PREPARE:
            if is_chosen:
                self._prepare(restore, state.settings)
            return None
        has_begun = restore.phase == BEGIN and (
            is_chosen or self._done(restore, self.members.unit) == "aside"
        )
        if has_begun or restore.phase == COPY:
            return None
        self.mysql.services.stop(UNIT)
        if restore.phase == BEGIN:
            self._put_aside(restore)
            self._report(state, Position(seqno=-1, uuid="", safe=False, after=state.recovery.number))
            self._publish(restore, "aside")
        else:
            self._report(state)
            is_swapped = restore.phase == SWAP and is_chosen
            if is_swapped:
                self._swap(restore)
            self._publish(restore, "in place" if is_swapped else "stopped")
        return ops.MaintenanceStatus(f"restoring {restore.backup}: no clients are served")

    def publish_copied(self) -> None:
        """As a member that serves, publish that it has all data that are restored."""
        restore = self._current
        if restore and restore.phase == COPY:
            self._publish(restore, "copied")

    def _publish(self, restore: Restore, state: str) -> None:
        self.cluster.publish(restored={"number": restore.number, "state": state})

    def _report(self, state: State, position: Position | None = None) -> None:
        """Publish how far the data of the stopped server go, unless it is known; `position` where there are none."""
        known = state.member.position
        if position is None and known and known.after == state.recovery.number:
            return
        if position is None:
            uuid, seqno, safe = self.mysql.position()
            position = Position(seqno=seqno, uuid=uuid, safe=safe, after=state.recovery.number)
        self.cluster.publish(position=dataclasses.asdict(position), serves=None)

    def _prepare(self, restore: Restore, settings: Settings) -> None:
        if self._done(restore, restore.unit):
            return
        number = str(restore.number)
        known = [one for one in self.jobs.all() if one.module == JOB and one.arguments["number"] == number]
        where = self.schedule.arguments(settings)
        record = known[-1] if known else self.jobs.start(JOB, name=restore.backup, number=number, **where)
        self.jobs.wait(record.id, SECONDS)
        record = self.jobs.find(record.id) or record
        if record.ended is not None:
            self._publish(restore, "ready" if record.state == "done" else "failed")

    def _put_aside(self, restore: Restore) -> None:
        aside = f"{ASIDE}{restore.number}"
        if not self.mysql.machine.exists(aside):
            self.mysql.machine.move_folder(DATA, aside)
        self.mysql.machine.make_folder(DATA, user="mysql", group="mysql")

    def _swap(self, restore: Restore) -> None:
        """Put the prepared data in the place of the old ones, by two renames that can each be the last before a power loss."""
        machine, new, old = self.mysql.machine, f"{PREPARED}{restore.number}", f"{REPLACED}{restore.number}"
        if not machine.exists(new):
            return
        if machine.exists(DATA) and not machine.exists(old):
            machine.move_folder(DATA, old)
        machine.remove(DATA)
        machine.move_folder(new, DATA)
        machine.run("chmod", "0755", DATA)

    # Afterwards

    def _tidy_up(self, state: State) -> ops.StatusBase | None:
        """Put back or delete what restores that are over have left; return what is waited for, as `follow` does."""
        machine, beside = self.mysql.machine, self.mysql.beside()
        for path in _left_by(beside, ASIDE):
            if path == f"{ASIDE}{self.cluster.shared.get('abandoned', 0)}":
                self.mysql.services.stop(UNIT)
                machine.remove(DATA)
                machine.move_folder(path, DATA)
                uuid, seqno, safe = self.mysql.position()
                position = Position(seqno=seqno, uuid=uuid, safe=safe, after=state.recovery.number)
                self._report(state, position)
                return ops.WaitingStatus("for the leader to name the unit that begins the cluster again")
            if self.mysql.is_ready():
                machine.remove(path)
        if not any(record.module == JOB for record in self.jobs.unfinished()):
            for path in _left_by(beside, PREPARED):
                machine.remove(path)
        self._prune_replaced(_left_by(beside, REPLACED))
        return None

    def _prune_replaced(self, paths: list[str]) -> None:
        """Delete the data that restores have replaced: all but the newest, and that after some days."""
        machine, note = self.mysql.machine, f"/var/lib/openinfra/{self.mysql.application}/replaced"
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

    # As the leader

    def begin(self, name: str, unit: str) -> None:
        """Begin a restore of a backup by a unit."""
        number = self.cluster.shared.get("restores", 0) + 1
        self._record(Restore(number=number, backup=name, unit=unit, phase=PREPARE))

    def lead(self, *, serves: bool) -> bool:
        """Go to the next phase when all that it needs is there.

        Args:
            serves: Whether the leader's own server does.

        Returns:
            Whether all members are to be stopped, or have been until this hook: then nobody else may be named to begin.
        """
        restore = self._current
        if restore is None:
            return False
        done = self._done(restore, restore.unit)
        if self._is_lost(restore) or (restore.phase == PREPARE and done == "failed"):
            self.cluster.publish_shared(restore=None, abandoned=restore.number)
        elif restore.phase == PREPARE and done == "ready":
            self._go_on(restore, STOP)
        elif restore.phase == STOP and not self._lagging(restore, "stopped"):
            self._go_on(restore, SWAP)
        elif restore.phase == SWAP and done == "in place":
            answer = Recovery(unit=restore.unit, number=self.members.recovery.number + 1, begin=True)
            self.cluster.publish_shared(recovery=dataclasses.asdict(answer))
            self._go_on(restore, BEGIN)
        elif restore.phase == BEGIN and serves and not self._lagging(restore, "aside"):
            self.clients.make_anew()
            self.cluster.publish_shared(restored=restore.number)
            self._go_on(restore, COPY)
        elif restore.phase == COPY and not self._lagging(restore, "copied"):
            self.cluster.publish_shared(restore=None)
        return restore.phase in {STOP, SWAP}

    def _go_on(self, restore: Restore, phase: str) -> None:
        self._record(dataclasses.replace(restore, phase=phase))

    def _record(self, restore: Restore) -> None:
        self.cluster.publish_shared(restore=dataclasses.asdict(restore), restores=restore.number)

    def _lagging(self, restore: Restore, state: str) -> list[str]:
        """Return the members that have not published that they are so far; the chosen one puts no data aside."""
        asked = [unit for unit in self.members.recorded if state != "aside" or unit != restore.unit]
        gone = self.cluster.gone(asked)
        return [unit for unit in asked if unit not in gone and self._done(restore, unit) != state]

    def _is_lost(self, restore: Restore) -> bool:
        """Return whether the chosen unit is gone from the model, with data that no other server has."""
        rest = self.members.present
        if any(self._done(restore, member.unit) == "copied" for member in rest):
            return False
        nobody_has = restore.phase == PREPARE or all(member.position for member in rest)
        return nobody_has and bool(self.cluster.gone([restore.unit]))

    def _done(self, restore: Restore, unit: str) -> str | None:
        """Return what a unit has published that it has done in this restore."""
        published = self.cluster.facts(unit).get("restored") or {}
        return published.get("state") if published.get("number") == restore.number else None


def _left_by(paths: list[str], kind: str) -> list[str]:
    """Return those paths that restores have given to their folders of this kind, by number."""
    found = [
        (int(match[1]), path) for path in paths if (match := re.fullmatch(rf"{kind}(\d+)(\.\w+)?", path))
    ]
    return [path for _, path in sorted(found)]
