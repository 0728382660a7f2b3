"""This unit's servers in the two raft clusters, and as the leader's unit who is a member.

Who founds the clusters, what these are called and who is a member are recorded facts; files on the machine say which servers are here.
A server that was removed from its cluster can never come back with its file: the file is deleted, and the unit joins with a new
server. A member is removed by the id of its server, as its successor may have its address. Members remove what the leader has
recorded as `out`; it goes by what they say they have seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import ops

from openinfra_charm.model.cluster import unit_number
from openinfra_charm.model.status import RetriedStatus
from raft import NORTHBOUND, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from openinfra_charm.model.cluster import Cluster
    from ovn_central import OvnCentral
    from raft import Raft, Status
    from state import Members, Settings

READY_SECONDS = 30
"""How long a hook waits for servers to join, or to have a quorum; the next hook goes on where this one gives up."""
KNOWN_SECONDS = 5
"""And where they have been members before."""
CHANGE_SECONDS = 10
"""How long a hook waits for a quorum to remove a member, or to take another election timer."""
SIZES = (5, 3, 1)
"""How many members there may be: one more than these bears the loss of no more members, and slows all writes."""


@dataclass(kw_only=True)
class Membership:
    """This unit's place in the clusters, and as the leader's unit who is a member."""

    cluster: Cluster
    members: Members
    ovn: OvnCentral
    _seen: dict[str, Status] = field(default_factory=dict[str, "Status"], init=False)
    """What the servers here have said last in this hook, by database."""

    # Whether this unit has servers

    def enter(self, settings: Settings) -> ops.StatusBase | None:
        """Have the files of servers here if this unit is to have some; return what is to be waited for: None where they are there."""
        self._leave_where_removed()
        self._give_up_former(settings)
        missing = [raft for raft in self.ovn.rafts if not raft.exists]
        if not missing:
            return self._why_not_ours() if not self.ovn.was_started else None
        clusters = self.members.clusters
        if not clusters:
            return self._found(missing, settings)
        unit, recorded = self.members.unit, self.members.recorded
        if unit in recorded or unit in self.members.out:
            return self._await_removal()
        if self.cluster.gone(recorded) == sorted(recorded, key=unit_number):
            lost = ", ".join(recorded)
            return ops.BlockedStatus(
                f"all databases were on {lost}, and are gone with it: {self._begin_anew}"
            )
        if self._may_join:
            return self._join(missing, clusters)
        return self._stand_by()

    def _found(self, missing: Iterable[Raft], settings: Settings) -> ops.StatusBase | None:
        """Found the clusters if this unit is on record as the one that does so: a hook that dies leaves no second cluster."""
        founder = self.cluster.shared.get("founder")
        if founder is None:
            return ops.WaitingStatus("for the leader to name the unit that founds the databases")
        if founder != self.members.unit:
            return ops.WaitingStatus(f"for {founder} to found the databases")
        for raft in missing:
            raft.create(self.members.me.address, timer=settings.election_timer)
        return None

    def _join(self, missing: Iterable[Raft], clusters: Mapping[str, str]) -> ops.StatusBase | None:
        others = [self.members[unit].address for unit in self.members.recorded if unit in self.members]
        if not others:
            return ops.WaitingStatus("to meet the members of the databases' clusters")
        for raft in missing:
            raft.join(clusters[raft.database.key], self.members.me.address, others)
        return None

    def _why_not_ours(self) -> ops.StatusBase | None:
        """Return what a unit says that finds databases of another cluster on its machine, before it starts anything."""
        clusters = self.members.clusters
        for raft in self.ovn.rafts:
            try:
                found = raft.cluster
            except DatabaseError:
                found = "none"
            if found not in {clusters.get(raft.database.key, found), ""} or found == "none":
                return ops.BlockedStatus(
                    f"{raft.database.path} is not of this application's cluster: save it elsewhere, and delete it here"
                )
        return None

    def _leave_where_removed(self) -> None:
        """Delete the files of servers that the clusters have removed, as other members have seen."""
        former = set(self.members.out.get(self.members.unit, {}).values())
        seen = {server for one in self.members.values() for server in one.removed}
        if former and former <= seen and self._here & former:
            self.ovn.stop()
            self.ovn.discard()
            self.cluster.publish(servers=None, clusters=None)

    def _give_up_former(self, settings: Settings) -> None:
        """Delete servers of clusters that were given up; the unit with which new ones begin founds them with what is in its files."""
        former = self.members.former
        if not former:
            return
        running = {raft.database.key: status.cluster for raft in self.ovn.rafts if (status := raft.status())}
        old = [
            raft
            for raft in self.ovn.rafts
            if raft.exists and (running.get(raft.database.key) or raft.cluster) in former
        ]
        if not old:
            return
        self.ovn.stop()
        founds = not self.members.clusters and self.cluster.shared.get("founder") == self.members.unit
        for raft in old:
            if founds:
                raft.create(self.members.me.address, timer=settings.election_timer, anew=True)
            else:
                raft.discard()
        self.cluster.publish(servers=None, clusters=None, lost=None)

    @property
    def _here(self) -> set[str]:
        """The ids of the servers whose files are here."""
        return {raft.server for raft in self.ovn.rafts if raft.exists}

    def _await_removal(self) -> ops.StatusBase:
        """Have the other members remove this unit's former servers, of which a file is gone or of no use.

        What is left here stays until they have done so: it may be the last copy.
        """
        unit = self.members.unit
        self.ovn.stop()
        self.cluster.publish(lost=True)
        if not any(raft.exists for raft in self.ovn.rafts):
            self.cluster.publish(servers=None, clusters=None)
        if not set(self.members.recorded) - {unit}:
            return ops.BlockedStatus(
                f"the databases were on {unit} alone, and a file of them is gone: {self._begin_anew}"
            )
        return ops.WaitingStatus(
            f"for the other members to remove the former servers of {unit}, of which a file is gone"
        )

    def _stand_by(self) -> ops.StatusBase:
        """Return what a unit says that is no member and need not be one."""
        count = len(self.members.recorded)
        hold = "member holds" if count == 1 else "members hold"
        return ops.ActiveStatus(
            f"stands by: {count} {hold} the databases, and one more would not make them safer"
        )

    @property
    def _begin_anew(self) -> str:
        """What an operator does when all databases are lost."""
        application = self.ovn.application
        action = f"force-bootstrap unit={self.members.unit} confirm={application}"
        return f"begin anew with juju run {application}/leader {action}"

    @property
    def _may_join(self) -> bool:
        """Whether there is to be one more member, and this unit is the next: they come to an odd number."""
        staying = set(self.cluster.staying)
        able = [unit for unit, one in self.members.items() if unit in staying and not one.leaving]
        recorded = self.members.recorded
        present = [unit for unit in able if unit in recorded]
        spare = [unit for unit in able if unit not in recorded and unit not in self.members.out]
        wanted = next((size for size in SIZES if size <= len(able)), 0)
        return self.members.unit in spare[: max(0, wanted - len(present))]

    # What runs here

    def run(self, settings: Settings, *, in_full: bool) -> ops.StatusBase | None:
        """Have the servers run; return what is to be waited for: None where both serve as members.

        Args:
            settings: What the operator wants.
            in_full: Whether what is in the databases is looked at too, which costs more. Where they were just founded, it is.
        """
        self.ovn.apply()
        seconds = KNOWN_SECONDS if self.members.me.servers else READY_SECONDS
        self.ovn.machine.wait_until(lambda: self._all_serve() or self._any_has_left, seconds)
        if self._any_has_left:
            return self._await_removal()
        found = {key: status for key, status in self._seen.items() if status.is_member}
        if len(found) == len(self.ovn.rafts):
            self.cluster.publish(
                servers={key: status.server for key, status in found.items()},
                clusters={key: status.cluster for key, status in found.items()},
                lost=None,
            )
        if not all(status.serves for status in self._seen.values()) or len(found) < len(self.ovn.rafts):
            return RetriedStatus(f"{self.ovn.why_not_ready() or 'for the databases'}; see cluster-status")
        self._tune(settings)
        self._remove_members()
        if in_full or not self.members.clusters:
            self._keep_content(settings)
        return None

    def _all_serve(self) -> bool:
        """Ask the servers here how they are; return whether both serve."""
        answers = {raft.database.key: raft.status() for raft in self.ovn.rafts}
        self._seen = {key: status for key, status in answers.items() if status}
        return all(status and status.serves for status in answers.values())

    @property
    def _any_has_left(self) -> bool:
        """Whether a server here was removed from its cluster, by whomever."""
        return any(status.has_left for status in self._seen.values())

    def _tune(self, settings: Settings) -> None:
        """As the unit that leads a cluster, bring its election timer to what is wanted: it can be doubled at once, no more."""
        for raft in self.ovn.rafts:
            status = self._seen[raft.database.key]
            timer = status.timer
            while status.leads and timer != settings.election_timer:
                timer = min(settings.election_timer, 2 * timer)
                raft.set_timer(timer)
                if not self.ovn.machine.wait_until(partial(_has_timer, raft, timer), CHANGE_SECONDS):
                    return

    def _keep_content(self, settings: Settings) -> None:
        """As the unit that leads a cluster, keep what OVN itself has in its database: its schema, and what holds for northd.

        A newer schema comes when all members run the newer version.
        """
        versions = {one.version for unit, one in self.members.items() if unit in self.members.recorded}
        for raft in self.ovn.rafts:
            if not self._seen[raft.database.key].leads:
                continue
            if len(versions) == 1 and raft.is_of_older_schema:
                raft.convert()
            if raft.database is NORTHBOUND:
                self.ovn.bring_probe(settings.northd_probe)

    def _remove_members(self) -> None:
        """Have the clusters remove what is recorded as out, and publish what they do not have any more."""
        out = [servers for unit, servers in self.members.out.items() if unit != self.members.unit]
        wanted = {server for servers in out for server in servers.values()}
        for raft in self.ovn.rafts:
            for server in sorted(self._still_there(wanted, raft)):
                raft.kick(server)
            for prefix in self._strangers(raft):
                raft.kick(prefix)
        if wanted:
            self.ovn.machine.wait_until(
                lambda: self._all_serve() and not self._still_there(wanted), CHANGE_SECONDS
            )
        self.cluster.publish(removed=sorted(wanted - self._still_there(wanted)) or None)

    def _strangers(self, raft: Raft) -> list[str]:
        """As the unit that leads a cluster, return the servers in it that no unit has, by the beginnings of their ids.

        A unit that goes, or loses its files, just when it joins leaves one that nobody has ever recorded. One that is at the
        address of a unit which has not published its servers is about to join.
        """
        status, key = self._seen[raft.database.key], raft.database.key
        if not status.leads or not self.cluster.planned <= set(self.members):
            return []
        known = [one.servers for one in self.members.values()] + list(self.members.out.values())
        known += list(self.members.recorded.values())
        ids = {servers[key] for servers in known if key in servers}
        joining = {raft.database.remote(one.address) for one in self.members.values() if not one.servers}
        return [
            one.prefix
            for one in status.servers
            if one.address not in joining and not any(server.startswith(one.prefix) for server in ids)
        ]

    def _still_there(self, servers: set[str], raft: Raft | None = None) -> set[str]:
        """Return which of these servers a cluster has; where none is named, any of them."""
        keys = [raft.database.key] if raft else list(self._seen)
        return {server for server in servers for key in keys if self._seen[key].has(server)}

    @property
    def problems(self) -> Iterator[str]:
        """Yield what clients will notice when one thing more goes wrong, as this unit's servers see it."""
        for raft in self.ovn.rafts:
            status = self._seen.get(raft.database.key)
            count = len(status.servers) if status else 0
            if status and status.reachable < count:
                yield f"only {status.reachable} of {count} members of the {raft.database.title} database are connected"
            elif count == 2:  # noqa: PLR2004  a majority of two is both
                yield "two members have quorum only together: juju add-unit"

    # As the leader

    def lead(self) -> None:
        """Record who founds the clusters, what these are called, who is a member, and whose servers are to be removed."""
        if self.members.clusters:
            self._lead_members()
        else:
            self._lead_founding()

    def _lead_founding(self) -> None:
        founder = self.cluster.shared.get("founder")
        if founder is None or self.cluster.gone([founder]):
            self.cluster.publish_shared(founder=self.members.unit)
            return
        one = self.members.get(founder)
        if one and one.clusters and not self.members.former & set(one.clusters.values()):
            self.cluster.publish_shared(clusters=one.clusters, members={founder: one.servers})

    def _lead_members(self) -> None:
        members = self.members
        recorded, out = dict(members.recorded), self._not_out_yet()
        gone = set(self.cluster.gone(recorded))
        for unit in list(recorded):
            # The last member is no former one: there is nobody to remove its servers.
            is_lost = unit in gone or bool((one := members.get(unit)) and one.lost)
            if is_lost and len(recorded) > 1:
                out[unit] = recorded.pop(unit)
        for unit, one in members.items():
            if unit not in out and one.clusters == members.clusters and not one.lost:
                recorded[unit] = one.servers
        self.cluster.publish_shared(members=_sorted(recorded), out=_sorted(out) or None)

    def _not_out_yet(self) -> dict[str, Mapping[str, str]]:
        """Return what is out but for what members have seen removed, and whose unit does not have it any more."""
        out = dict(self.members.out)
        seen = {server for unit in self.members.recorded for server in self._removed(unit)}
        for unit, servers in self.members.out.items():
            former, one = set(servers.values()), self.members.get(unit)
            if former <= seen and not (one and former & set(one.servers.values())):
                del out[unit]
        return out

    def _removed(self, unit: str) -> tuple[str, ...]:
        one = self.members.get(unit)
        return one.removed if one else ()


def _has_timer(raft: Raft, timer: int) -> bool:
    status = raft.status()
    return status is not None and status.timer == timer


def _sorted(units: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    return dict(sorted(units.items()))
