"""Which units run monitors, who founds the cluster, and what becomes of the monitors and disks of units that are gone."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import TYPE_CHECKING

import ops

from admin import UnreachableError
from cephx import new_key
from monitor import QuorumError, addresses, forget_monitor, why_not_to_remove
from monitor_choice import next_monitors, runs_monitor
from openinfra_charm.model.status import NeedsOperatorError
from state import State

if TYPE_CHECKING:
    from ceph import Ceph
    from identity import Identities, Identity
    from members import Members
    from openinfra_charm.daemon.job import Jobs
    from openinfra_charm.model.cluster import Cluster
    from state import Settings


class Quorum:
    """The application's monitors, as one of its units sees and leads them.

    Who is gone is asked of the model: a peer that is not among the members may just not have been met yet.
    """

    def __init__(
        self,
        unit: ops.Unit,
        *,
        cluster: Cluster,
        members: Members,
        ceph: Ceph,
        jobs: Jobs,
        identities: Identities,
    ) -> None:
        """Take what it works with.

        Args:
            unit: This unit.
            cluster: The peer relation.
            members: The units that have said where they are.
            ceph: Ceph on this machine.
            jobs: This machine's jobs.
            identities: Where the keys of all units are kept.
        """
        self._unit = unit
        self._identities = identities
        self._cluster = cluster
        self._members = members
        self._ceph = ceph
        self._jobs = jobs

    # The cluster's beginning

    @property
    def is_named(self) -> bool:
        """Whether there is a cluster, or somebody who will found it."""
        shared = self._cluster.shared
        return "fsid" in shared and not (self._cluster.gone([shared["founder"]]) and self._is_lost)

    @property
    def _is_lost(self) -> bool:
        """Whether no unit is left that has a monitor: none was founded, or all who had one are gone."""
        if "founded" not in self._cluster.shared:
            return True
        # One that was not met yet may have a monitor.
        is_known = self._cluster.planned <= set(self._members)
        return is_known and not any(member.monitor for member in self._members.values())

    def name(self) -> ops.StatusBase:
        """As the leader, name the cluster and who founds it; return what is to be waited for.

        It is founded by a later hook, when Juju has this on record: a hook that dies leaves no second cluster. Where a
        founder is gone before there was another monitor, another cluster is named: nobody knows how far it came.

        Raises:
            NeedsOperatorError: It is gone, and there are disks of the cluster that it founded.
        """
        if not self._unit.is_leader():
            return ops.WaitingStatus("for the leader to name the cluster")
        if not self.is_named:
            self._name()
        return ops.WaitingStatus("for Juju to record the cluster's identity; the next hook founds it")

    def _name(self) -> None:
        shared = self._cluster.shared
        if holders := [unit for unit, member in self._members.items() if member.osds]:
            raise NeedsOperatorError(
                f"{shared['founder']} is gone, and with it the only monitor of this cluster, of which {', '.join(holders)} "
                "have disks: bring its machine back, or remove the application"
            )
        # Also where there were keys for an earlier one: this version of Ceph may take others.
        keys = {name: new_key(self._ceph.machine) for name in ("monitor-key", "admin-key")}
        self._cluster.publish_shared(
            keys=self._identities.keep(keys),
            fsid=str(uuid.uuid4()),
            founder=self._unit.name,
            monitors=[self._unit.name],
            founded=None,
            options=None,
            hosts=None,
        )

    # Who runs a monitor

    @property
    def _chosen(self) -> list[str]:
        return self._cluster.shared["monitors"]

    @cached_property
    def _gone(self) -> list[str]:
        return self._cluster.gone({*self._chosen, *self._hosts})

    @property
    def _hosts(self) -> dict[str, str]:
        """The machines of all units that there are or have been, by unit, as long as a monitor of theirs may be left."""
        return self._cluster.shared.get("hosts", {})

    @property
    def joins(self) -> bool:
        """Whether this unit runs a monitor, or is to join with one now."""
        return not self._namesake and runs_monitor(self._unit.name, self._chosen, self._members, self._gone)

    def state(self, settings: Settings, identity: Identity) -> State:
        """Return everything that decides what runs on this machine."""
        me, shared, joins = self._members[self._unit.name], self._cluster.shared, self.joins
        chosen = [self._members[unit] for unit in self._chosen if unit in self._members]
        return State(
            settings=settings,
            identity=identity,
            member=me,
            monitors=tuple(member for member in chosen if member.monitor or (joins and member == me)),
            runs_monitor=joins,
            founds_cluster=shared["founder"] == self._unit.name and "founded" not in shared,
        )

    def is_settled(self, state: State) -> bool:
        """Return whether this machine's monitor and manager are as they shall be, and the monitor in quorum if there is one."""
        monitor = self._ceph.monitor
        if not state.monitors or self.awaited:
            return False
        is_placed = state.runs_monitor == state.member.monitor == monitor.exists == monitor.has_manager
        return is_placed and (not monitor.exists or monitor.in_quorum())

    @property
    def awaited(self) -> ops.StatusBase | None:
        """What this unit's monitor waits for, if it was chosen to run one."""
        if self._namesake and self._unit.name in self._chosen:
            return ops.WaitingStatus(
                f"to run a monitor: {self._namesake} had a machine of the same name, and is to be removed first"
            )
        return None

    @property
    def _namesake(self) -> str | None:
        """The unit whose machine had this machine's name, until its monitor is out of the cluster."""
        if self._ceph.monitor.exists:
            return None
        name = self._ceph.monitor.name
        found = (unit for unit, host in self._hosts.items() if host == name and unit != self._unit.name)
        return next(found, None)

    def choose(self, limit: int) -> None:
        """As the leader, name the units that run monitors; each makes its own when those before it are in quorum.

        Nothing is chosen before the first has been in quorum; from then on nobody founds the cluster a second time.

        Args:
            limit: The most monitors to run.
        """
        chosen = (self._members.get(unit) for unit in self._chosen)
        if self._unit.is_leader() and any(member.monitor for member in chosen if member):
            wanted = next_monitors(self._chosen, self._members, limit, self._gone)
            self._note(wanted)
            self._cluster.publish_shared(monitors=wanted, founded=True)

    def leave(self) -> ops.StatusBase | None:
        """Give this unit's monitor up, if it has one; return what is to be waited for if it cannot go now.

        Raises:
            UnreachableError: The monitors do not answer; nothing was removed.
        """
        if self._ceph.monitor.exists:
            try:
                self._ceph.leave_quorum()
            except QuorumError as error:
                return ops.WaitingStatus(f"to give the monitor up: {error}")
            self._cluster.publish(monitor=None)
        return None

    @property
    def has_others(self) -> bool:
        """Whether there are other monitors. The cluster is asked: a unit on its way out has no peers any more."""
        try:
            return bool(addresses(self._ceph.admin).keys() - {self._ceph.monitor.name})
        except UnreachableError:
            return False

    def why_not_to_go(self, *, for_good: bool = True) -> str | None:
        """Return why this unit's monitor must not go: the others would be no quorum. None if they are, or need none.

        Args:
            for_good: Whether it goes now, before another unit could run one in its place.
        """
        if not self._ceph.monitor.exists:
            return None
        name, unit = self._ceph.monitor.name, self._unit.name
        try:
            if addresses(self._ceph.admin).keys() - {name}:
                return why_not_to_remove(self._ceph.admin, name)
            here = {osd.number for osd in self._ceph.osds.all()}
            left = sorted(set(self._ceph.admin.command("osd ls")) - here)
        except UnreachableError as error:
            alone = self._cluster.shared.get("monitors") == [unit]
            return None if alone else f"{error}, so it is unknown whether the other monitors are a quorum"
        if for_good and left:
            others = f"OSDs {', '.join(map(str, left))} are on other machines"
            return f"{unit} has the only monitor, and {others}: juju run {unit} prepare-removal"
        return None

    # Who is gone

    def note_hosts(self, *, is_regular: bool) -> None:
        """As the leader, remember every unit's machine.

        Args:
            is_regular: Whether this comes by now and then. Else units that come together are noted together: each note
                wakes all of them, each look reads all that are new.
        """
        if self._unit.is_leader() and (is_regular or self._cluster.planned <= set(self._cluster.units)):
            unknown = [unit for unit in self._cluster.units if unit not in self._hosts]
            known = [unit for unit in unknown if unit in self._members]
            if is_regular or len(known) == len(unknown):
                self._note(known)

    def _note(self, units: list[str]) -> None:
        new = {
            unit: member.hostname
            for unit in units
            if unit not in self._hosts and (member := self._members.get(unit))
        }
        if new:
            self._cluster.publish_shared(hosts={**self._hosts, **new})

    def go_on_alone(self) -> None:
        """Start the job that lets this unit's monitor go on alone, if those of all others are gone for good.

        It is for the unit that has it: nobody else can, and the leader may be any.
        """
        gone = [unit for unit in self._gone if unit in self._hosts]
        others = [unit for unit in self._chosen if unit not in {self._unit.name, *self._gone}]
        if not gone or any(unit not in self._members or self._members[unit].monitor for unit in others):
            return
        if self._ceph.monitor.exists and not self._ceph.monitor.in_quorum():
            self._jobs.start("jobs.go_on_alone", hosts=",".join(sorted(self._hosts[unit] for unit in gone)))

    def forget_gone(self) -> None:
        """As the leader, clean up after units whose machines are gone: their monitors at once, their disks by a job.

        Only when the monitor is out may a new machine of the same name run one: what is removed is then certainly the old.

        Raises:
            QuorumError: A monitor cannot go; the others would be no quorum.
            UnreachableError: The monitors do not answer.
        """
        if not self._unit.is_leader():
            return
        draining: dict[str, str] = self._cluster.shared.get("draining", {})
        for unit in [unit for unit in self._gone if unit in self._hosts]:
            draining = {**draining, unit: self._hosts[unit]}
            forget_monitor(self._ceph.admin, self._hosts[unit])
            hosts = {other: host for other, host in self._hosts.items() if other != unit}
            self._cluster.publish_shared(hosts=hosts, draining=draining)
        for unit, host in list(draining.items()):
            if self._jobs.once("jobs.forget_machines", unit=unit, host=host).state == "done":
                del draining[unit]
        self._cluster.publish_shared(draining=draining or None)
