"""Ceph's twin as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs
import twin

from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


DISKS = ("sdb", "sdc", "sdd")
"""What each machine has for OSDs."""
ARCHIVE = "http://ceph.example.org/debian forky"
"""Where a later version of Ceph is."""


class Twin(testing.Twin):
    """One Ceph cluster on the machines of one application."""

    def __init__(self) -> None:
        self.cluster = twin.Cluster()

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine Ceph's programs, and disks whose names change with each start."""
        for name in DISKS:
            machine.plug_in(name, size=4 << 30)
        software = programs.CephSoftware(self.cluster, machine, address)
        software.archives[ARCHIVE] = "20.2.4+ds-2"
        machine.bring(software)

    def violations(self) -> Iterator[str]:
        """Yield what no charm may ever do to a cluster."""
        if len(self.cluster.founders) > 1:
            yield f"one cluster: monitors of {', '.join(self.cluster.founders)} each began one"
        for group in self.cluster.lost:
            yield f"the last copy stays: {group} has lost it"
        for osd in self.cluster.overwritten:
            yield f"nothing is erased that bears another's label: {osd} was"
        for group in self.cluster.hasty:
            yield f"an OSD goes when it is safe to destroy: {group} had too few copies elsewhere"

        self.cluster.check_monitors()
        for sentence in self.cluster.careless:
            yield f"a monitor goes when the quorum outlasts it: {sentence}"
        for sentence in self.cluster.disorder:
            yield f"monitors before managers before OSDs: {sentence}"

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield what a cluster of so many units lacks."""
        wanted = max(count for count in (1, 3) if count <= max(1, len(units)))
        if len(self.cluster.quorum) < wanted:
            yield f"{len(self.cluster.quorum)} monitors are in quorum, {len(units)} units can have {wanted}"
        if down := [number for number, osd in self.cluster.osds.items() if not osd.up]:
            yield f"OSDs {down} are down"

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how the cluster gets disks and data."""
        yield from super().usual(units)
        yield f"run {units[0]} create-pool name=rehearsal"

    def equip(self, unit: str) -> Iterator[str]:
        """Yield how a unit gets a disk."""
        yield f"run {unit} add-disk osd-devices=/dev/{DISKS[0]}"

    def rotations(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how the administrator's key is replaced."""
        yield f"run {units[0].partition('/')[0]}/leader rotate-key entity=client.admin"

    def settings(self) -> Sequence[str]:
        """Return what restarts daemons, and what does not."""
        return (
            "osd-benchmark=false",
            "osd-memory-target=1G",
            "osd-pool-default-pg-num=16",
            "allow-plain-credentials=true",
            f"source=deb {ARCHIVE} main",
        )

    def fill(self) -> None:
        """Have clients write to all pools."""
        for pool in self.cluster.pools:
            pool.stored = max(pool.stored, 100 << 20)
