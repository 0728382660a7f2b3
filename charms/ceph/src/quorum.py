"""Which units run monitors, and who founds the cluster."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ops

from admin import UnreachableError
from cephx import new_key
from monitor import QuorumError, addresses, why_not_to_remove
from monitor_choice import next_monitors, runs_monitor
from openinfra_charm.model.status import NeedsOperatorError, RetriedStatus
from state import State

if TYPE_CHECKING:
    from ceph import Ceph
    from identity import Identities, Identity
    from members import Members
    from openinfra_charm.model.cluster import Cluster
    from state import Settings
    from survivors import Survivors


@dataclass
class Quorum:
    """The application's monitors, as one of its units sees and leads them."""

    unit: ops.Unit
    cluster: Cluster
    members: Members
    ceph: Ceph
    survivors: Survivors
    identities: Identities

    # The cluster's beginning

    @property
    def is_named(self) -> bool:
        """Whether there is a cluster, or somebody who will found it."""
        shared = self.cluster.shared
        return "fsid" in shared and not (self.cluster.gone([shared["founder"]]) and self._is_lost)

    @property
    def _is_lost(self) -> bool:
        """Whether no unit is left that has a monitor: none was founded, or all who had one are gone."""
        if "founded" not in self.cluster.shared:
            return True
        # One that was not met yet may have a monitor.
        is_known = self.cluster.planned <= set(self.members)
        return is_known and not any(member.monitor for member in self.members.values())

    def name(self) -> ops.StatusBase:
        """As the leader, name the cluster and who founds it; return what is to be waited for.

        It is founded by a later hook, when Juju has this on record: a hook that dies leaves no second cluster. Where a
        founder is gone before there was another monitor, another cluster is named: nobody knows how far it came.

        Raises:
            NeedsOperatorError: It is gone, and there are disks of the cluster that it founded.
        """
        if not self.unit.is_leader():
            return ops.WaitingStatus("for the leader to name the cluster")
        if not self.is_named:
            self._name()
        return ops.WaitingStatus("for Juju to record the cluster's identity; the next hook founds it")

    def _name(self) -> None:
        shared = self.cluster.shared
        if holders := [unit for unit, member in self.members.items() if member.osds]:
            raise NeedsOperatorError(
                f"{shared['founder']} is gone, and with it the only monitor of this cluster, of which {', '.join(holders)} "
                "have disks: bring its machine back, or remove the application"
            )
        # Also where there were keys for an earlier one: this version of Ceph may take others.
        keys = {name: new_key(self.ceph.machine) for name in ("monitor-key", "admin-key")}
        self.cluster.publish_shared(
            keys=self.identities.keep(keys),
            fsid=str(uuid.uuid4()),
            founder=self.unit.name,
            monitors=[self.unit.name],
            founded=None,
            options=None,
            hosts=None,
        )

    # Who runs a monitor

    @property
    def _chosen(self) -> list[str]:
        return self.cluster.shared["monitors"]

    @property
    def joins(self) -> bool:
        """Whether this unit runs a monitor, or is to join with one now."""
        return not self._namesake and runs_monitor(
            self.unit.name, self._chosen, self.members, self.survivors.gone
        )

    def state(self, settings: Settings, identity: Identity) -> State:
        """Return everything that decides what runs on this machine."""
        me, shared, joins = self.members[self.unit.name], self.cluster.shared, self.joins
        chosen = [self.members[unit] for unit in self._chosen if unit in self.members]
        return State(
            settings=settings,
            identity=identity,
            member=me,
            monitors=tuple(member for member in chosen if member.monitor or (joins and member == me)),
            runs_monitor=joins,
            founds_cluster=shared["founder"] == self.unit.name and "founded" not in shared,
        )

    def is_settled(self, state: State) -> bool:
        """Return whether this machine's monitor and manager are as they shall be, and the monitor in quorum if there is one."""
        monitor = self.ceph.monitor
        if not state.monitors or self.awaited:
            return False
        is_placed = state.runs_monitor == state.member.monitor == monitor.exists == monitor.has_manager
        return is_placed and (not monitor.exists or monitor.in_quorum())

    @property
    def awaited(self) -> ops.StatusBase | None:
        """What this unit's monitor waits for, if it was chosen to run one."""
        if self._namesake and self.unit.name in self._chosen:
            return ops.WaitingStatus(
                f"to run a monitor: {self._namesake} had a machine of the same name, and is to be removed first"
            )
        return None

    @property
    def _namesake(self) -> str | None:
        """The unit whose machine had this machine's name, until its monitor is out of the cluster."""
        if self.ceph.monitor.exists:
            return None
        name = self.ceph.monitor.name
        found = (
            unit for unit, host in self.survivors.hosts.items() if host == name and unit != self.unit.name
        )
        return next(found, None)

    def choose(self, limit: int) -> None:
        """As the leader, name the units that run monitors; each makes its own when those before it are in quorum.

        Nothing is chosen before the first has been in quorum; from then on nobody founds the cluster a second time.

        Args:
            limit: The most monitors to run.
        """
        chosen = (self.members.get(unit) for unit in self._chosen)
        if self.unit.is_leader() and any(member.monitor for member in chosen if member):
            wanted = next_monitors(self._chosen, self.members, limit, self.survivors.gone)
            self.survivors.note(wanted)
            self.cluster.publish_shared(monitors=wanted, founded=True)

    def leave(self) -> ops.StatusBase | None:
        """Give this unit's monitor up, if it has one; return what is to be waited for if it cannot go now.

        Raises:
            UnreachableError: The monitors do not answer; nothing was removed.
        """
        if self.ceph.monitor.exists:
            try:
                self.ceph.leave_quorum()
            except QuorumError as error:
                return RetriedStatus(f"to give the monitor up: {error}")
            self.cluster.publish(monitor=None)
        return None

    @property
    def has_others(self) -> bool:
        """Whether there are other monitors. The cluster is asked: a unit on its way out has no peers any more."""
        try:
            return bool(addresses(self.ceph.admin).keys() - {self.ceph.monitor.name})
        except UnreachableError:
            return False

    def why_not_to_go(self, *, for_good: bool = True) -> str | None:
        """Return why this unit's monitor must not go: the others would be no quorum. None if they are, or need none.

        Args:
            for_good: Whether it goes now, before another unit could run one in its place.
        """
        if not self.ceph.monitor.exists:
            return None
        name, unit = self.ceph.monitor.name, self.unit.name
        try:
            if addresses(self.ceph.admin).keys() - {name}:
                return why_not_to_remove(self.ceph.admin, name)
            here = {osd.number for osd in self.ceph.osds.all()}
            left = sorted(set(self.ceph.admin.command("osd ls")) - here)
        except UnreachableError as error:
            alone = self.cluster.shared.get("monitors") == [unit]
            return None if alone else f"{error}, so it is unknown whether the other monitors are a quorum"
        if for_good and left:
            others = f"OSDs {', '.join(map(str, left))} are on other machines"
            return f"{unit} has the only monitor, and {others}: juju run {unit} prepare-removal"
        return None
