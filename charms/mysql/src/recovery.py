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
from typing import TYPE_CHECKING

import ops

import restore
from openinfra_charm.model.cluster import unit_number
from openinfra_charm.values import bracketed
from state import Position, Recovery, decide, next_members

if TYPE_CHECKING:
    from charm import MySqlCharm
    from mysql import Node
    from state import Member, State

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


def run_member(charm: MySqlCharm, state: State) -> bool:
    """Have the server of a member run; return whether it serves. What is missing goes into the unit's status."""
    mysql, me, recovery = charm.mysql, state.member, state.recovery
    asks = me.position is not None and me.position.after == recovery.number
    if asks and not mysql.is_ready():
        charm.missing.append(_awaited(charm))
        return False
    is_answered = me.position is not None and not asks
    is_chosen = is_answered and recovery.begin and recovery.unit == me.unit
    is_new = is_answered and _take_answer(charm, recovery.number)
    if is_new:
        # From here on it has its whole time again, before it asks anew.
        mysql.up()
    if is_chosen and is_new:
        mysql.begin()
    else:
        mysql.apply()
        if state.tls and not mysql.is_in_cluster():
            mysql.start_with_certificate(charm.transport.fingerprint)
    if mysql.wait_until_ready(0 if mysql.is_known_down else READY_SECONDS, note=True):
        mysql.up()
        charm.cluster.publish(joined=True, position=None, serves=_serves(charm, recovery))
        return True
    if (node := mysql.node()) and node.primary:
        _catch_up(charm, state, node)
        return False
    limit = READY_SECONDS if mysql.left_last else FORM_SECONDS
    is_late = mysql.down_for() >= (BEGIN_SECONDS if is_answered else limit)
    if mysql.receives_copy:
        charm.missing.append(ops.MaintenanceStatus("is given a copy of another unit's data"))
    elif is_late and (me.joined or _serves(charm, recovery) is not None):
        # One that is not known to have joined is waited for by those that ask, whether or not it has data.
        _report(charm, recovery)
        charm.missing.append(_awaited(charm))
    elif me.joined:
        charm.missing.append(
            ops.WaitingStatus("for the database to form its cluster again; see cluster-status")
        )
    else:
        charm.missing.append(_outside(charm))
    return False


def _outside(charm: MySqlCharm) -> ops.StatusBase:
    """Return what a unit says that has not been in the cluster yet."""
    named = [unit for unit, _ in charm.cluster.shared["members"]]
    if charm.cluster.gone(named) == sorted(named, key=unit_number):
        return ops.BlockedStatus(
            f"all data were on {', '.join(named)}, and are gone with it: deploy {charm.app.name} anew, and restore a backup"
        )
    return ops.WaitingStatus("for the database to join the cluster")


def _catch_up(charm: MySqlCharm, state: State, node: Node) -> None:
    """Leave a member that is in the component and does not serve to what it does, unless it does nothing."""
    mysql = charm.mysql
    # The time in which it could not form the cluster begins when it drops out again.
    mysql.down()
    if node.gives_copy:
        charm.missing.append(ops.MaintenanceStatus("gives another unit a copy of its data"))
        charm.cluster.publish(joined=True, position=None, serves=_serves(charm, state.recovery))
        charm.transport.take_up(state)
        return
    if not mysql.receives_copy and mysql.stands_still(STILL_SECONDS):
        mysql.kill()
    charm.missing.append(ops.WaitingStatus("for the database to join the cluster"))


def lead(charm: MySqlCharm, state: State, *, serves: bool) -> None:
    """As the leader, say who is a member, and answer members that have reported their positions."""
    shared, members = charm.cluster.shared, charm.members
    chosen = _recorded(charm)
    gone = set(charm.cluster.gone(chosen))
    if any(member and member.position for member in map(members.get, chosen)):
        # Where only the unit that takes a backup back has data, nobody who is gone need be asked.
        asked = [unit for unit in chosen if not (restore.begins(charm) and unit in gone)]
        if answer := decide(asked, members, state.recovery, trusts_mark="forced" not in shared):
            charm.cluster.publish_shared(recovery=dataclasses.asdict(answer))
        return
    known = dict(shared["members"])
    outlived = {
        unit for unit in chosen for member in [members.get(unit)] if member for unit in member.outlived
    }
    kept = [unit for unit in chosen if unit not in gone or not (serves or unit in outlived)]
    founded = shared.get("founded") or any(m and m.joined for m in map(members.get, chosen))
    if founded:
        kept = next_members(kept, members, shared.get("left-behind", []))
    elif gone:
        # Nobody has ever joined and no client was ever served: somebody else may found the cluster.
        kept = [charm.unit.name]
        charm.cluster.publish_shared(founder=charm.unit.name)
    addresses = [(unit, m.cluster_address if (m := members.get(unit)) else known.get(unit)) for unit in kept]
    charm.cluster.publish_shared(members=[[u, a] for u, a in addresses], founded=founded or None)


def _recorded(charm: MySqlCharm) -> list[str]:
    """Return who is a member: who was named, and who has joined though nobody could name it (`state.heirs`)."""
    named = [unit for unit, _ in charm.cluster.shared["members"]]
    out = {*named, *charm.cluster.shared.get("left-behind", [])}
    return [*named, *(unit for unit, member in charm.members.items() if member.joined and unit not in out)]


def lacking(charm: MySqlCharm) -> list[str]:
    """Return the members that have not reported a position while others have."""
    number = charm.recovery.number
    reported = [
        unit
        for unit, _ in charm.cluster.shared["members"]
        if (m := charm.members.get(unit)) and m.position and m.position.after == number
    ]
    return [unit for unit, _ in charm.cluster.shared["members"] if unit not in reported]


def tell_outlived(charm: MySqlCharm) -> None:
    """As a member that serves, vouch that the cluster goes on without the members that are gone from the model."""
    gone = charm.cluster.gone(unit for unit, _ in charm.cluster.shared["members"])
    charm.cluster.publish(outlived=gone or None)


def _awaited(charm: MySqlCharm) -> ops.StatusBase:
    if restore.begins(charm):
        return ops.MaintenanceStatus(restore.waits_for(charm))
    if missing := lacking(charm):
        names = ", ".join(missing)
        return ops.BlockedStatus(
            f"the cluster has not formed, and {names} may hold the newest data: start its machine; "
            f"or give its data up: juju run {charm.app.name}/leader force-bootstrap"
        )
    return ops.WaitingStatus("for the leader to compare all positions and name who begins the cluster again")


def _take_answer(charm: MySqlCharm, number: int) -> bool:
    """Return whether the recovery `number` is new to this machine, which begins the cluster for it once at most."""
    path = f"/var/lib/openinfra/{charm.app.name}/answered"
    return charm.machine.write(path, f"{number}\n")


def _serves(charm: MySqlCharm, recovery: Recovery) -> int | None:
    """Return what a member that serves answers to members that ask; None where nobody does."""
    asking = any(
        member.position and member.position.after == recovery.number
        for unit, _ in charm.cluster.shared["members"]
        if unit != charm.unit.name and (member := charm.members.get(unit))
    )
    return recovery.number if asking else None


def _report(charm: MySqlCharm, recovery: Recovery) -> None:
    uuid, seqno, safe = charm.mysql.pause()
    position = Position(seqno=seqno, uuid=uuid, safe=safe, after=recovery.number)
    charm.cluster.publish(position=dataclasses.asdict(position), serves=None)


def writer(charm: MySqlCharm) -> Member | None:
    """Return the member that clients write to: the recorded one as long as it is in the component that serves.

    One that is to be removed takes the writes only where nobody else can.
    """
    node = charm.mysql.node()
    if node is None or not node.serves:
        return None
    present = [
        member
        for unit, _ in charm.cluster.shared["members"]
        if (member := charm.members.get(unit))
        and member.joined
        and f"{bracketed(member.client_address)}:3306" in node.addresses
    ]
    recorded = charm.cluster.shared.get("writer")
    able = [member for member in present if not member.leaving] or present
    return next((m for m in able if m.unit == recorded), able[0] if able else None)
