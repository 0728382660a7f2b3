"""What becomes of the monitors and disks of units that are gone: those that remain clean up after them.

A machine that died runs no hook. Who is gone is asked of the model: a peer that is not among the members may just not have been
met yet.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from monitor import forget_monitor

if TYPE_CHECKING:
    import ops

    from ceph import Ceph
    from members import Members
    from openinfra_charm.daemon.job import Jobs
    from openinfra_charm.model.cluster import Cluster


class Survivors:
    """The units that remain, as one of them sees and leads them."""

    def __init__(self, unit: ops.Unit, *, cluster: Cluster, members: Members, ceph: Ceph, jobs: Jobs) -> None:
        """Take this unit, its peers, those of them that have said where they are, Ceph on its machine, and the machine's jobs."""
        self._unit = unit
        self._cluster = cluster
        self._members = members
        self._ceph = ceph
        self._jobs = jobs

    @property
    def hosts(self) -> dict[str, str]:
        """The machines of all units that there are or have been, by unit, as long as a monitor of theirs may be left."""
        return self._cluster.shared.get("hosts", {})

    @cached_property
    def gone(self) -> list[str]:
        """Those that the model does not have any more, of the units that run monitors and of all whose machines are known."""
        return self._cluster.gone({*self._cluster.shared["monitors"], *self.hosts})

    def note_hosts(self, *, is_regular: bool) -> None:
        """As the leader, remember every unit's machine.

        Args:
            is_regular: Whether this comes by now and then. Else units that come together are noted together: each note
                wakes all of them, each look reads all that are new.
        """
        if self._unit.is_leader() and (is_regular or self._cluster.planned <= set(self._cluster.units)):
            unknown = [unit for unit in self._cluster.units if unit not in self.hosts]
            known = [unit for unit in unknown if unit in self._members]
            if is_regular or len(known) == len(unknown):
                self.note(known)

    def note(self, units: list[str]) -> None:
        """As the leader, remember the machines of these units, those that have said where they are."""
        new = {
            unit: member.hostname
            for unit in units
            if unit not in self.hosts and (member := self._members.get(unit))
        }
        if new:
            self._cluster.publish_shared(hosts={**self.hosts, **new})

    def go_on_alone(self) -> None:
        """Start the job that lets this unit's monitor go on alone, if those of all others are gone for good.

        It is for the unit that has it: nobody else can, and the leader may be any.
        """
        gone = [unit for unit in self.gone if unit in self.hosts]
        others = [
            unit for unit in self._cluster.shared["monitors"] if unit not in {self._unit.name, *self.gone}
        ]
        if not gone or any(unit not in self._members or self._members[unit].monitor for unit in others):
            return
        if self._ceph.monitor.exists and not self._ceph.monitor.in_quorum():
            self._jobs.start("jobs.go_on_alone", hosts=",".join(sorted(self.hosts[unit] for unit in gone)))

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
        for unit in [unit for unit in self.gone if unit in self.hosts]:
            draining = {**draining, unit: self.hosts[unit]}
            forget_monitor(self._ceph.admin, self.hosts[unit])
            hosts = {other: host for other, host in self.hosts.items() if other != unit}
            self._cluster.publish_shared(hosts=hosts, draining=draining)
        for unit, host in list(draining.items()):
            if self._jobs.once("jobs.forget_machines", unit=unit, host=host).state == "done":
                del draining[unit]
        self._cluster.publish_shared(draining=draining or None)
