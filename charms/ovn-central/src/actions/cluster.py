"""The two raft clusters: how they are, and who is a member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openinfra_charm.model.actions import ActionError, Outcome, require_leader
from raft import majority

if TYPE_CHECKING:
    from charm import OvnCentralCharm
    from raft import Status


def cluster_status(charm: OvnCentralCharm) -> Outcome:
    """Show both clusters as this unit's servers see them.

    Raises:
        ActionError: Another unit of the machine has them.
    """
    charm.owned.require("cluster-status")
    units = _units(charm)
    result: dict[str, Any] = {"northd": charm.ovn.northd_status() or "does not answer"}
    words: list[str] = []
    for raft in charm.ovn.rafts:
        title, status = raft.database.title, raft.status()
        if status is None:
            result[title] = {"state": "does not answer"}
            words.append(f"{title}: does not answer here")
            continue
        result[title] = _describe(status, units)
        quorum = "" if status.serves else ", no leader"
        words.append(
            f"{title}: {status.reachable} of {len(status.servers)} members connected, {status.role or status.state}{quorum}"
        )
    result["members"] = {unit: dict(servers) for unit, servers in charm.members.recorded.items()}
    result["removing"] = {unit: dict(servers) for unit, servers in charm.members.out.items()}
    return Outcome(summary=f"{'; '.join(words)}; northd: {result['northd']}", result=result)


def kick_member(charm: OvnCentralCharm, *, unit: str, dry_run: bool = True) -> Outcome:
    """Record a unit's servers as out of the clusters: each member that serves removes them, by their ids.

    Raises:
        ActionError: This is not the leader, the unit is no member or the last one, or the others are no quorum.
    """
    require_leader(charm, f"kick-member unit={unit}")
    members = charm.members.recorded
    if unit not in members:
        raise ActionError(f"unit={unit}: it is no member; members are {', '.join(members) or 'none'}")
    if len(members) == 1:
        raise ActionError(f"unit={unit}: the databases are on it alone")
    servers = dict(members[unit])
    for raft in charm.ovn.rafts:
        status = raft.status()
        if status is None or not status.serves:
            raise ActionError(
                f"the {raft.database.title} database has no quorum here, so nobody can be removed; see cluster-status"
            )
        server = servers[raft.database.key]
        others = [one for one in status.servers if not server.startswith(one.prefix)]
        connected = sum(one.is_connected for one in others)
        if connected < majority(len(others)):
            raise ActionError(
                f"without {unit} the {raft.database.title} database has no quorum: "
                f"{connected} of {len(others)} other members are connected"
            )
    result = {"unit": unit, "servers": servers}
    if dry_run:
        return Outcome(
            summary=f"{unit} would be removed, a quorum remains; set dry-run=false to do it", result=result
        )
    rest = {name: ids for name, ids in members.items() if name != unit}
    charm.cluster.publish_shared(members=rest, out={**charm.members.out, unit: servers})
    after = "; it joins again with new servers" if unit in charm.cluster.planned else ""
    return Outcome(summary=f"the servers of {unit} are being removed{after}", result=result)


def prepare_removal(charm: OvnCentralCharm, *, dry_run: bool = False, cancel: bool = False) -> Outcome:
    """Let a spare unit take this one's place; or with `cancel`, have this one count again.

    Raises:
        ActionError: It is the last unit, or the databases cannot do without it.
    """
    unit = charm.unit.name
    if cancel:
        if not dry_run:
            charm.cluster.publish(leaving=None)
        return Outcome(summary=f"{unit} stays")
    others = set(charm.cluster.staying) - {unit}
    if not others:
        raise ActionError(f"{unit} is the last unit: the databases go with it; make a backup first (backup)")
    is_alone = set(charm.members.recorded) == {unit}
    if not is_alone and (why := charm.departure.why_not()):
        raise ActionError(why)
    words = "another unit joins the databases first" if is_alone else "clients go on with the other members"
    if dry_run:
        return Outcome(summary=f"possible: {words}")
    charm.cluster.publish(leaving=True)
    return Outcome(summary=f"{words}; then: juju remove-unit {unit}")


def force_bootstrap(charm: OvnCentralCharm, *, unit: str, confirm: str) -> Outcome:
    """Begin new clusters with what a unit has; what all others have is given up.

    Raises:
        ActionError: This is not the leader, the old clusters have a quorum, or it was not confirmed.
    """
    require_leader(charm, f"force-bootstrap unit={unit} confirm={confirm}")
    application = charm.app.name
    if not charm.members.clusters:
        raise ActionError("no clusters are on record yet: see the status of the units")
    if unit not in charm.members:
        raise ActionError(f"unit={unit}: there is no such unit; there are {', '.join(charm.members)}")
    statuses = [raft.status() for raft in charm.ovn.rafts]
    if any(status and status.serves for status in statuses):
        raise ActionError("a database has a quorum: nothing needs force; see cluster-status")
    if confirm != application:
        raise ActionError(
            f"confirm={confirm}: the databases of all units but {unit} would be given up; confirm with confirm={application}"
        )
    former = [*charm.cluster.shared.get("former", []), *charm.members.clusters.values()]
    charm.cluster.publish_shared(founder=unit, clusters=None, members=None, out=None, former=sorted(former))
    return Outcome(summary=f"{unit} begins new clusters; the others join them with empty servers")


def _units(charm: OvnCentralCharm) -> dict[str, str]:
    """Return which unit has the server with this id."""
    return {server: unit for unit, servers in charm.members.recorded.items() for server in servers.values()}


def _describe(status: Status, units: dict[str, str]) -> dict[str, Any]:
    """Return a cluster as one of its servers sees it."""
    named = {
        one.prefix: next(
            (unit for server, unit in units.items() if server.startswith(one.prefix)), one.address
        )
        for one in status.servers
    }
    leader = status.server[:4] if status.leader == "self" else status.leader
    return {
        "cluster": status.cluster,
        "state": status.state,
        "role": status.role,
        "leader": named.get(leader, leader),
        "election-timer": status.timer,
        "members": {
            named[one.prefix]: "connected" if one.is_connected else "not connected" for one in status.servers
        },
    }
