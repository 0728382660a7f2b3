"""Bringing this machine's server into the cluster, and the cluster back when its members cannot form it themselves.

After a power loss Galera forms the component again that was there before, from each member's disk; hooks only look
on. What it cannot form is a cluster whose members were all stopped in good order, or of which one does not come back.
Then each member stops its server and reports how far its data go (`position`); from then on it starts only when the
leader has answered (`recovery`): with a member that serves after all, or with the one that begins the cluster again.
Every report names the last answer that its unit knew, so that no answer is taken for that to a later question.

A member of the component that serves asks nobody, however long it takes: it is given what it lacks, or gives it to
another one, and must not be stopped. Only one that stands still there is started once more.
"""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ops

from openinfra_charm.model.cluster import unit_number
from openinfra_charm.model.status import RetriedStatus
from openinfra_charm.values import bracketed
from state import Position, State, decide, may_join, next_members, successors

if TYPE_CHECKING:
    from mysql import MySql, Node
    from openinfra_charm.model.cluster import Cluster
    from restore import Restoration
    from state import Member, Members, Recovery, Settings
    from transport import Transport

READY_SECONDS = 40
"""How long a hook waits for the server; the next hook goes on where this one gives up."""
FORM_SECONDS = 120
"""How long members have to form the cluster themselves before they report how far their data go.

The one that left last does not wait for so long: nobody but it can begin.
"""
BEGIN_SECONDS = 900
"""How long members that were answered may take to begin the cluster again, or to join it; then they ask once more."""
STILL_SECONDS = 10
"""For how long a joining member must do nothing at all to be taken for one that will never do anything again.

Galera leaves one so that lost the others for a moment just while it was given a copy: nobody sends it the rest.
"""


@dataclass(kw_only=True)
class Membership:
    """This unit's place in the cluster, and as the leader's unit who is a member."""

    cluster: Cluster
    members: Members
    mysql: MySql
    transport: Transport
    restoration: Restoration
    node: Node | None = field(default=None, init=False)
    """What this unit's server has answered last in this hook; None where it was not asked, or does not answer."""

    # Whether there is a cluster, and whether this unit is in it

    def found(self, *, is_leader: bool) -> ops.StatusBase | None:
        """As the leader, name the cluster and who founds it; return what is to be waited for: None where it has a name.

        It is founded by a later hook, when Juju has this on record: a hook that dies leaves no second cluster.
        """
        if "cluster-id" in self.cluster.shared:
            return None
        if not is_leader:
            return ops.WaitingStatus("for the leader to name the cluster")
        me = self.members.me
        self.cluster.publish_shared(
            **{
                "cluster-id": str(uuid.uuid4()),
                "founder": me.unit,
                "members": [[me.unit, me.cluster_address]],
            }
        )
        return ops.WaitingStatus("for Juju to record the cluster's identity; the next hook founds it")

    def gather(self, settings: Settings) -> State:
        """Return everything that decides what runs here, once the cluster has a name."""
        shared, me = self.cluster.shared, self.members.me
        members = self.members.recorded
        gone = self.cluster.gone(members)
        chosen = [unit for unit in members if unit not in gone]
        joins = may_join(me.unit, chosen, self.members)
        if "founded" not in shared:
            joins = joins and shared["founder"] == me.unit
        elif me.unit not in chosen:
            following = successors(chosen, self.cluster.staying, self.members, self.members.left_behind)
            joins = may_join(me.unit, following, self.members)
            members |= {unit: self.members[unit].cluster_address for unit in following}
        return State(
            settings=settings,
            cluster_id=shared["cluster-id"],
            member=me,
            members=members,
            joins=joins and not self.transport.awaits_certificate,
            recovery=self.members.recovery,
            tls=self.transport.state,
        )

    def stay_out(self) -> ops.StatusBase:
        """Keep this unit's server out of the cluster; say why: others join first, or it must never again."""
        me, application = self.members.unit, self.mysql.application
        if me in self.members.left_behind:
            self.mysql.stop()
            return ops.BlockedStatus(
                "force-bootstrap has left this unit's data behind; save what is in /var/lib/mysql, then "
                f"juju remove-unit {me}, juju add-unit {application}"
            )
        if self.transport.awaits_certificate:
            return ops.WaitingStatus(self.transport.problem)
        return ops.WaitingStatus("to join the cluster: one unit at a time, after those before it")

    def run(self, state: State) -> ops.StatusBase | None:
        """Have the server of a member run; return what is to be waited for: None where it serves."""
        mysql, me, recovery = self.mysql, state.member, state.recovery
        self.node = mysql.node()
        asks = me.position is not None and me.position.after == recovery.number
        if asks and not self._is_ready:
            return self._awaited()
        is_answered = me.position is not None and not asks
        self._start(state, is_answered=is_answered)
        if not self._is_ready:
            seconds = 0 if mysql.is_known_down else READY_SECONDS
            self.node = mysql.wait_until_ready(seconds, note=True)
        if self._is_ready:
            mysql.up()
            self.cluster.publish(joined=True, position=None, serves=self._serves(recovery))
            return None
        if self.node and self.node.primary:
            return self._catch_up(state, self.node)
        return self._wait_to_form(state, is_answered=is_answered)

    def _start(self, state: State, *, is_answered: bool) -> None:
        """Have the server run, as the one that begins the cluster again if the leader's answer names this unit."""
        mysql, recovery = self.mysql, state.recovery
        is_new = is_answered and self._note_answer(recovery.number)
        if is_new:
            # From here on it has its whole time again, before it asks anew.
            mysql.up()
        if is_new and recovery.begin and recovery.unit == self.members.unit:
            mysql.begin()
            self.node = None
            return
        # One that answers runs.
        if not (self.node and mysql.is_managed) and mysql.apply():
            self.node = mysql.node()
        if state.tls and not (self.node and self.node.primary):
            mysql.start_with_certificate(self.transport.fingerprint)

    def _wait_to_form(self, state: State, *, is_answered: bool) -> ops.StatusBase:
        """Return what a member waits for that is in no component; one for which it takes too long stops and asks."""
        mysql, me, recovery = self.mysql, state.member, state.recovery
        limit = READY_SECONDS if mysql.left_last else FORM_SECONDS
        is_late = mysql.down_for() >= (BEGIN_SECONDS if is_answered else limit)
        if mysql.receives_copy:
            return ops.MaintenanceStatus("is given a copy of another unit's data")
        if is_late and (me.joined or self._serves(recovery) is not None):
            # One that is not known to have joined is waited for by those that ask, whether or not it has data.
            self._report(recovery)
            return self._awaited()
        if me.joined:
            return RetriedStatus("for the database to form its cluster again; see cluster-status")
        return self._outside()

    @property
    def _is_ready(self) -> bool:
        return self.node is not None and self.node.serves

    def _outside(self) -> ops.StatusBase:
        """Return what a unit says that has not been in the cluster yet."""
        named = list(self.members.recorded)
        if self.cluster.gone(named) == sorted(named, key=unit_number):
            lost, application = ", ".join(named), self.mysql.application
            return ops.BlockedStatus(
                f"all data were on {lost}, and are gone with it: deploy {application} anew, and restore a backup"
            )
        return RetriedStatus("for the database to join the cluster")

    def _catch_up(self, state: State, node: Node) -> ops.StatusBase:
        """Leave a member that is in the component and does not serve to what it does, unless it does nothing."""
        mysql = self.mysql
        # The time in which it could not form the cluster begins when it drops out again.
        mysql.down()
        if node.gives_copy:
            self.cluster.publish(joined=True, position=None, serves=self._serves(state.recovery))
            self.transport.reload(state)
            return ops.MaintenanceStatus("gives another unit a copy of its data")
        if not mysql.receives_copy and mysql.stands_still(STILL_SECONDS):
            mysql.kill()
        return RetriedStatus("for the database to join the cluster")

    def restart_outdated(self) -> list[ops.StatusBase]:
        """Restart a server that runs with an older configuration, one unit of the application at a time."""
        return self.cluster.rolling_restart(
            self.mysql, self._wait_after_restart, "the database to serve", why_not=self.mysql.why_not_to_stop
        )

    def _wait_after_restart(self) -> bool:
        self.node = self.mysql.wait_until_ready(READY_SECONDS)
        return self._is_ready

    def publish_survived(self) -> None:
        """As a member that serves, publish which members are gone from the model: the cluster goes on without them."""
        self.cluster.publish(outlived=self.cluster.gone(self.members.recorded) or None)

    @property
    def positions(self) -> dict[str, Position]:
        """How far the data of those members go that have reported since the last answer."""
        number, present = self.members.recovery.number, self.members.present
        return {one.unit: one.position for one in present if one.position and one.position.after == number}

    @property
    def lacking(self) -> list[str]:
        """The members that have not reported a position while others have."""
        reported = self.positions
        return [unit for unit in self.members.recorded if unit not in reported]

    def _awaited(self) -> ops.StatusBase:
        """Return what a stopped member says that has reported its position."""
        if self.restoration.begins:
            return ops.MaintenanceStatus(self.restoration.progress)
        if missing := self.lacking:
            newest = max(positions := self.positions, key=lambda unit: positions[unit].seqno)
            return ops.BlockedStatus(
                f"the cluster has not formed, and {', '.join(missing)} may hold the newest data: start what is missing, "
                f"or give its data up: juju run {self.mysql.application}/leader force-bootstrap unit={newest} "
                f"confirm={','.join(missing)}"
            )
        return ops.WaitingStatus(
            "for the leader to compare all positions and name the unit that begins the cluster again"
        )

    def _note_answer(self, number: int) -> bool:
        """Return whether the recovery `number` is new to this machine, which begins the cluster for it once at most."""
        path = f"/var/lib/openinfra/{self.mysql.application}/answered"
        return self.mysql.machine.write(path, f"{number}\n")

    def _serves(self, recovery: Recovery) -> int | None:
        """Return what a member that serves answers to members that ask; None where nobody does."""
        others = (member for member in self.members.present if member.unit != self.members.unit)
        asking = any(member.position and member.position.after == recovery.number for member in others)
        return recovery.number if asking else None

    def _report(self, recovery: Recovery) -> None:
        history, seqno, safe = self.mysql.pause()
        position = Position(seqno=seqno, uuid=history, safe=safe, after=recovery.number)
        self.cluster.publish(position=dataclasses.asdict(position), serves=None)

    # As the leader

    def lead(self, state: State, *, serves: bool) -> None:
        """Record who is a member, and answer members that have reported their positions."""
        shared, members = self.cluster.shared, self.members
        chosen = self._chosen()
        gone = set(self.cluster.gone(chosen))
        if any(member and member.position for member in map(members.get, chosen)):
            # Where only the unit that restores a backup has data, nobody who is gone need be asked.
            asked = [unit for unit in chosen if not (self.restoration.begins and unit in gone)]
            if answer := decide(asked, members, state.recovery, trusts_mark="forced" not in shared):
                self.cluster.publish_shared(recovery=dataclasses.asdict(answer))
            return
        known = members.recorded
        survived = {unit for one in map(members.get, chosen) if one for unit in one.survived}
        kept = [unit for unit in chosen if unit not in gone or not (serves or unit in survived)]
        founded = shared.get("founded") or any(m and m.joined for m in map(members.get, chosen))
        if founded:
            kept = next_members(kept, members, members.left_behind)
        elif gone:
            # Nobody has ever joined and no client was ever served: somebody else may found the cluster.
            kept = [members.unit]
            self.cluster.publish_shared(founder=members.unit)
        found = [(unit, m.cluster_address if (m := members.get(unit)) else known.get(unit)) for unit in kept]
        self.cluster.publish_shared(members=[list(one) for one in found], founded=founded or None)

    def _chosen(self) -> list[str]:
        """Return who is a member: who was named, and who has joined though nobody could name it (`state.successors`)."""
        named = list(self.members.recorded)
        out = {*named, *self.members.left_behind}
        return [*named, *(unit for unit, one in self.members.items() if one.joined and unit not in out)]

    def writer(self) -> Member | None:
        """Return the member that clients write to: the recorded one as long as it is in the component that serves.

        One that is to be removed takes the writes only where nobody else can.
        """
        node = self.node
        if node is None or not node.serves:
            return None
        present = [
            member
            for member in self.members.present
            if member.joined and f"{bracketed(member.client_address)}:3306" in node.addresses
        ]
        able = [member for member in present if not member.leaving] or present
        return next((m for m in able if m.unit == self.members.writer), able[0] if able else None)
