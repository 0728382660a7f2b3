"""The cluster as this unit sees it, what forces it, and this unit's jobs and removal."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openinfra_charm.daemon.show_job import show
from openinfra_charm.model.actions import ActionError, Outcome, failing_on, require_leader
from sql import StatementError, UnreachableError
from state import Recovery

if TYPE_CHECKING:
    from charm import MySqlCharm


def cluster_status(charm: MySqlCharm) -> Outcome:
    """Show who is a member, who is in the component, how far stopped ones are, and where clients write.

    Raises:
        ActionError: There is no cluster yet.
    """
    shared = charm.cluster.shared
    if "cluster-id" not in shared:
        raise ActionError("the cluster is not named yet: wait for the leader")
    node = charm.mysql.node()
    positions = {
        unit: dataclasses.asdict(member.position) for unit, member in charm.members.items() if member.position
    }
    result = {
        "cluster": shared["cluster-id"],
        "members": charm.members.recorded,
        "writer": charm.members.writer,
        "component": list(node.addresses) if node else [],
        "primary": bool(node and node.primary),
        "state": node.state if node else "does not answer",
        "positions": positions,
        "relations": {
            str(relation.id): {"application": relation.app.name, "users": charm.clients.users(relation.id)}
            for relation in charm.model.relations["database"]
        },
    }
    count = f"{node.size if node else 0} of {len(charm.members.recorded)} members are in the cluster"
    return Outcome(summary=f"{count}; here it is {result['state']}", result=result)


def show_job(charm: MySqlCharm, *, job_id: str = "") -> Outcome:
    """Show how one job of this unit stands, or all."""
    return show(charm.jobs, job_id)


def rotate_password(charm: MySqlCharm, *, relation_id: int) -> Outcome:
    """Publish a second user. The first one goes when Juju says that nobody reads its password any more.

    Raises:
        ActionError: This is not the leader, there is no such client, or its last rotation is not over.
    """
    require_leader(charm, f"rotate-password relation-id={relation_id}")
    with failing_on(StatementError, UnreachableError, words="{}; see cluster-status"):
        return Outcome(summary=charm.clients.rotate(relation_id))


def prepare_removal(charm: MySqlCharm, *, dry_run: bool = False, cancel: bool = False) -> Outcome:
    """Have another member take the writes and the scheduled backups; or with `cancel`, have this one count again.

    Raises:
        ActionError: The data would be lost with this unit.
    """
    unit = charm.unit.name
    is_writer = charm.members.writer == unit
    if cancel:
        if not dry_run:
            charm.cluster.publish(leaving=None)
        return Outcome(summary=f"{unit} stays")
    if not set(charm.cluster.staying) - {unit}:
        raise ActionError(
            f"{unit} is the last unit: all data go with it; make a backup first (create-backup)"
        )
    if why := charm.departure.why_not():
        raise ActionError(why)
    words = (
        "another member takes the writes, and sessions of clients are cut"
        if is_writer
        else "clients notice nothing"
    )
    if dry_run:
        return Outcome(summary=f"possible: {words}", result={"writer": is_writer})
    charm.cluster.publish(leaving=True)
    return Outcome(summary=f"{words}; then: juju remove-unit {unit}", result={"writer": is_writer})


def force_bootstrap(charm: MySqlCharm, *, unit: str, confirm: str) -> Outcome:
    """Leave the missing members behind, and have a unit begin the cluster again with its data.

    Raises:
        ActionError: This is not the leader, the cluster needs no force, or the units are not named as they are.
    """
    require_leader(charm, f"force-bootstrap unit={unit} confirm={confirm}")
    if busy := charm.restoration.progress:
        raise ActionError(busy)
    missing, reported = charm.membership.lacking, charm.membership.positions
    if not reported:
        raise ActionError(
            "no unit has reported a position: the cluster serves, or forms itself; see cluster-status"
        )
    if not missing:
        raise ActionError(
            "all members have reported: the one with the newest data begins by itself; see status"
        )
    if unit not in reported:
        raise ActionError(
            f"unit={unit}: it has reported no position; of those that have: {', '.join(reported)}"
        )
    if {part.strip() for part in confirm.split(",")} != set(missing):
        raise ActionError(
            f"confirm={confirm!r}: the data of {', '.join(missing)} would be given up; name them in confirm"
        )
    answer = Recovery(unit=unit, number=charm.members.recovery.number + 1, begin=True)
    kept = [[name, address] for name, address in charm.members.recorded.items() if name in reported]
    behind = sorted({*charm.members.left_behind, *missing})
    charm.cluster.publish_shared(
        **{"members": kept, "left-behind": behind, "forced": True, "recovery": dataclasses.asdict(answer)}
    )
    return Outcome(summary=f"{unit} begins the cluster again; {', '.join(missing)} left behind")
