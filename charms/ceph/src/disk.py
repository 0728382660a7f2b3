"""Block devices: is one provably empty, whose is it, and how it is made empty for sure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from openinfra_charm.values import parse_size

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

MIB, GIB = 1 << 20, 1 << 30
LABEL = b"bluestore block device\n"
"""How a BlueStore label begins; the OSD's uuid follows on the second line (Ceph: src/os/bluestore/BlueStore.cc)."""
LABEL_OFFSETS = (0, GIB, 10 * GIB, 100 * GIB, 1000 * GIB)
"""Where BlueStore keeps its label; Ceph 19 added the copies behind the first (same file, `bdev_label_positions`)."""
FILE_FOLDER = "/var/lib/ceph/openinfra"
FILE_MINIMUM = GIB


class DiskError(Exception):
    """A device that cannot be used; the message names it and says why."""


def find(machine: Machine, name: str) -> str:
    """Return the real path of a whole block device.

    Raises:
        DiskError: There is none under that name, or it is a part of one.
    """
    path = machine.resolve(name)
    if not machine.exists(path):
        raise DiskError(f"{name}: there is no such device on {machine.hostname()}; see list-disks")
    if not machine.is_block_device(path):
        raise DiskError(f"{name}: not a block device; for an OSD in a file say file:SIZE")
    if machine.exists(f"/sys/class/block/{path.rpartition('/')[2]}/partition"):
        raise DiskError(f"{name}: a partition; name the whole disk")
    return path


def label_uuid(machine: Machine, path: str) -> str | None:
    """Return the uuid of the OSD whose BlueStore label a device carries, if it does."""
    start = machine.read_bytes(path, 60)
    return start[len(LABEL) :].decode("ascii", "replace").strip() if start.startswith(LABEL) else None


def objections(machine: Machine, path: str) -> list[str]:
    """Return why a device is not provably empty; nothing if it is.

    Each check alone is fooled by something that the others see: a lock shows only what is in use now, signatures
    only what blkid or wipefs know, and the ends only where signatures usually are.
    """
    found: list[str] = []
    if not machine.open_exclusively(path):
        found.append("in use (mounted, part of an array, or held by a program)")
    probe = machine.run("blkid", "-p", path, check=False)
    if probe.code != 2:  # noqa: PLR2004  blkid(8): nothing was found
        found.append(f"has a signature ({_signature(probe.stdout) or 'ambivalent'})")
    if machine.run("wipefs", "-n", "-p", path, check=False).stdout.strip():
        found.append("has signatures that wipefs knows")
    size = machine.size(path)
    if any(machine.read_bytes(path, MIB).strip(b"\0")) or any(
        machine.read_bytes(path, MIB, -MIB).strip(b"\0")
    ):
        found.append("has data in its first or last MiB")
    labels = [
        offset
        for offset in LABEL_OFFSETS
        if offset + len(LABEL) <= size and machine.read_bytes(path, len(LABEL), offset) == LABEL
    ]
    if labels:
        found.append(f"has a BlueStore label at {', '.join(f'{offset // GIB} GiB' for offset in labels)}")
    return found


def erase(machine: Machine, path: str) -> None:
    """Make a device empty, and make sure that it is.

    The places where signatures and labels are get overwritten with zeros; only a flash device is discarded, since
    others may not come back with zeros.

    Raises:
        DiskError: It is in use, or something is still on it.
    """
    if not machine.open_exclusively(path):
        raise DiskError(f"{path}: in use; stop what holds it first")
    machine.run("wipefs", "-aq", path)
    size = machine.size(path)
    for offset in (*LABEL_OFFSETS, size - 2 * MIB):
        if 0 <= offset < size:
            length = min(2 * MIB, size - offset)
            machine.run("blkdiscard", "-z", "-o", str(offset), "-l", str(length), path)
    if not _rotates(machine, path):
        # A device without discard refuses; the zeros above suffice.
        machine.run("blkdiscard", path, check=False, timeout=50)
    if left := objections(machine, path):
        raise DiskError(f"{path}: still not empty after erasing: {'; '.join(left)}")


def make_file(machine: Machine, text: str, uuid: str) -> str:
    """Make the file for an OSD without a disk; return its path.

    Args:
        machine: Where to make it.
        text: Its size, such as `10G`.
        uuid: The OSD's uuid, which names the file.

    Raises:
        DiskError: The size is none, too small, or more than is free.
    """
    size = parse_size(text)
    if size is None or size < FILE_MINIMUM:
        raise DiskError(f"file:{text}: not a size of at least 1G, such as file:10G")
    machine.make_folder(FILE_FOLDER, mode=0o750, user="ceph", group="ceph")
    if size > machine.free_space(FILE_FOLDER):
        free = machine.free_space(FILE_FOLDER) // GIB
        raise DiskError(f"file:{text}: {FILE_FOLDER} has {free}G free")
    path = f"{FILE_FOLDER}/osd-{uuid}.img"
    machine.allocate(path, size, user="ceph", group="ceph")
    return path


def list_devices(machine: Machine) -> list[dict[str, Any]]:
    """Return the machine's whole block devices: path, size in bytes, model, whether it rotates.

    A container sees all devices of its host in /sys; only those that it has in /dev are its own.
    """
    columns = "PATH,SIZE,MODEL,ROTA"
    listed = json.loads(
        machine.run("lsblk", "-J", "-b", "-d", "-o", columns).stdout or '{"blockdevices": []}'
    )
    return [d for d in listed["blockdevices"] if d["size"] and machine.is_block_device(d["path"])]


def _rotates(machine: Machine, path: str) -> bool:
    queue = f"/sys/class/block/{path.rpartition('/')[2]}/queue/rotational"
    return (machine.read(queue) or "1").strip() == "1"


def _signature(output: str) -> str:
    """Return the TYPE or PTTYPE that blkid's output names."""
    words = dict(word.split("=", 1) for word in output.split() if "=" in word)
    return (words.get("TYPE") or words.get("PTTYPE") or "").strip('"')
