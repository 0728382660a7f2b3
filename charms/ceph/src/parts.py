"""A device that several OSDs share for their databases or write-ahead logs: a GPT partition for each.

Partitions are the kernel's own: nothing has to assemble them at a start, as LVM's volumes have to be. A partition is known
by its GUID, which follows from its OSD's uuid, so that one is never taken for another, whatever it is called.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import disk
from openinfra_charm.machine import CommandError

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

TYPES = {
    "block.db": "30CD0809-C2B2-499C-8879-2D6B78529876",
    "block.wal": "5CE17FCE-4087-4169-B7FF-056CC58473F9",
}
"""Ceph's partition types, by the name of the OSD's link (Ceph: udev/95-ceph-osd.rules, until Ceph 13)."""
ROOM = 4 * disk.MIB
"""What partition tables and alignment take of a device, at most."""
SMALLEST = disk.GIB
"""Below this a database spills over to the slow device from the first day."""


def guid(identity: str, link: str) -> str:
    """Return the GUID of the partition of an OSD."""
    return str(uuid.uuid5(uuid.UUID(identity), link))


def share(machine: Machine, path: str, count: int, size: int) -> int:
    """Return how large each of `count` new partitions of a device can be, in bytes.

    Args:
        machine: Where the device is.
        path: An empty device, or one that OSDs share already.
        count: How many more OSDs get a part.
        size: What each shall get; 0: as much as those that are there, or an equal share of an empty device.

    Raises:
        DiskError: The device is neither empty nor shared by OSDs, or has no room for it.
    """
    there = of(machine, path)
    if any(part["type"].upper() not in TYPES.values() for part in there):
        raise disk.DiskError(f"{path}: not empty: has partitions that are not Ceph's")
    if not there:
        disk.check_empty(machine, path)
    used = sum(part["size"] for part in there)
    free = machine.size(path) - ROOM - used
    wanted = size or (there[0]["size"] if there else free // count // disk.MIB * disk.MIB)
    if wanted < SMALLEST or wanted * count > free:
        raise disk.DiskError(
            f"{path}: {free >> 20} MiB are free, too little for {count} parts of {wanted >> 20} MiB (the least is 1024)"
        )
    return wanted


def make(machine: Machine, path: str, size: int, identity: str, link: str) -> str:
    """Make an OSD's partition on a device that `share` has looked at; return its path.

    Raises:
        DiskError: The device cannot be written, or its partitions do not appear on this machine.
    """
    name = guid(identity, link)
    line = f'size={size >> 10}KiB, type={TYPES[link]}, uuid={name.upper()}, name="ceph-{link}"'
    try:
        if not of(machine, path):
            machine.run("sfdisk", "--quiet", path, stdin="label: gpt\n")
        machine.run(
            "sfdisk", "--quiet", "--append", "--no-reread", "--no-tell-kernel", path, stdin=f"{line}\n"
        )
        machine.run("partx", "--update", path, check=False)
        made = _find(machine, name)
        if made is None or not machine.is_block_device(made[1]["node"]):
            remove(machine, identity, link)
            raise disk.DiskError(
                f"{path}: its partitions do not appear in /dev of this machine, as in a container: name one device for each OSD"
            )
        # What an earlier partition has left at this place.
        disk.erase(machine, made[1]["node"])
    except (CommandError, OSError) as error:
        raise disk.DiskError(f"{path}: cannot be partitioned: {disk.brief(error)}") from error
    return made[1]["node"]


def remove(machine: Machine, identity: str, link: str) -> None:
    """Remove an OSD's partition, if it is there, and the table when that was the last one.

    Raises:
        DiskError: The device cannot be written, the partition is in use, or bears another OSD's label.
    """
    found = _find(machine, guid(identity, link))
    if found is None:
        return
    path, part = found
    try:
        if machine.is_block_device(part["node"]):
            if disk.read_label(machine, part["node"]):
                disk.erase_labelled(machine, part["node"], disk.Label(identity, link))
            else:
                disk.erase(machine, part["node"])
        number = part["node"].removeprefix(path).removeprefix("p")
        machine.run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--delete", path, number)
        machine.run("partx", "--delete", "--nr", number, path, check=False)
    except (CommandError, OSError) as error:
        raise disk.DiskError(f"{path}: cannot be partitioned: {disk.brief(error)}") from error
    if not of(machine, path):
        disk.erase(machine, path)


def of(machine: Machine, path: str) -> list[dict[str, Any]]:
    """Return a device's GPT partitions as sfdisk(8) has them (`node`, `size`, `type`, `uuid`), their sizes in bytes."""
    output = machine.run("sfdisk", "--json", path, check=False).stdout
    table = json.loads(output)["partitiontable"] if output.strip() else {}
    if table.get("label") != "gpt":
        return []
    sector = table.get("sectorsize", 512)
    return [{**part, "size": part["size"] * sector} for part in table.get("partitions", ())]


def _find(machine: Machine, name: str) -> tuple[str, dict[str, Any]] | None:
    """Return the device and the partition with this GUID."""
    for device in disk.list_devices(machine):
        for part in of(machine, device["path"]):
            if part["uuid"].lower() == name:
                return device["path"], part
    return None
