"""Ceph's twin as rehearsals play it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import programs
import twin

from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


KEYS = {
    "client": ("client.", "application-name", "secret-key"),
    "radosgw": ("client.", "key_name", "secret-key-{unit}"),
    "mds": ("mds.", "mds-name", "secret-key-{unit}"),
}
"""By endpoint: how Ceph users begin, under what a client says the rest, and under what it is told its key."""
DISKS = ("sdb", "sdc", "sdd")
"""What each machine has for OSDs."""
ARCHIVE = "http://ceph.example.org/debian forky"
"""Where a later version of Ceph is."""


class Twin(testing.Twin):
    """One Ceph cluster on the machines of one application."""

    def __init__(self) -> None:
        self.cluster = twin.Cluster()
        self._asked_for: set[str] = set()
        self.cluster.asked_for = self._asked_for

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
        for osd in self.cluster.unasked:
            yield f"an OSD goes where an operator has asked for it: nobody has for {osd}"
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

    def meanwhile(self, unit: str) -> Iterator[str]:
        """Yield how a unit gets another OSD, whose number is the lowest that is free."""
        yield f"run {unit} add-disk osd-devices=file:3G"

    def why_not_served(self, client: testing.Client) -> str:
        """Return why a client does not reach the cluster by the monitors and with the key that it was given, or not its pools."""
        if client.endpoint not in KEYS:
            return ""
        told = {data.get("ceph-public-address") for data in client.providers.values()}
        quorum = {self.cluster.monitors[name] for name in self.cluster.quorum}
        if not told & quorum:
            return (
                f"it knows no monitor that is in quorum: of {', '.join(sorted(filter(None, told))) or 'none'}"
            )
        entity, key = _credentials(client)
        known = self.cluster.auth.get(entity)
        if not known or key not in {known.key, known.pending}:
            return f"the monitors do not let {entity} in with its key"
        wanted = {
            name
            for operation in json.loads(client.says.get("broker_req", "{}")).get("ops", [])
            for word in ("name", "metadata_pool", "data_pool")
            if (name := operation.get(word)) and operation["op"] in {"create-pool", "create-cephfs"}
        }
        return next((why for pool in sorted(wanted) if (why := self.cluster.why_not_served(pool))), "")

    def asked(self, command: str, machines: Sequence[testing.MemoryMachine]) -> None:
        """Note which OSDs may go now: those that a command names, or all of a unit that is to go; and which monitors of others."""
        hosts = {machine.name for machine in machines}
        if "--force" in command:
            self.cluster.give_up_monitors(hosts)
        if re.search(r"remove-disk|replace-disk", command):
            numbers = {int(number) for number in re.findall(r"(?:osd\.|osd-ids?=)(\d+)", command)}
            self._asked_for |= {
                self.cluster.osds[number].uuid for number in numbers & self.cluster.osds.keys()
            }
        elif re.search(r"remove|prepare-removal", command):
            self._asked_for |= {osd.uuid for osd in self.cluster.osds.values() if osd.host in hosts}

    def spare_disks(self) -> Iterator[tuple[testing.MemoryMachine, str]]:
        """Yield the OSDs' disks while all data have all their copies."""
        if self.cluster.quorum and self.cluster.states().keys() <= {"active+clean"}:
            for member in self.cluster.members:
                for number in member.running_osds():
                    path = member.machine.resolve(f"/var/lib/ceph/osd/ceph-{number}/block")
                    if member.machine.is_block_device(path):
                        yield member.machine, path

    def swapped(self, unit: str, machine: testing.MemoryMachine, path: str) -> Iterator[str]:
        """Yield how an OSD is made anew whose disk has died."""
        for number, osd in self.cluster.osds.items():
            if osd.host == machine.name and not osd.up:
                yield f"run {unit} replace-disk osd-id={number} device={path}"

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


def _credentials(client: testing.Client) -> tuple[str, str]:
    """Return a client's Ceph user and the key that it was given; only secrets count, as charms of ours take them."""
    kind, name, place = KEYS[client.endpoint]
    key = f"{place.format(unit=client.unit.replace('/', '-'))}.key"
    user = client.told.get(f"{place}.username", client.says.get(name, ""))
    return f"{kind}{user}", client.told.get(key, "")
