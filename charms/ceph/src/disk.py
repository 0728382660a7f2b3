"""Block devices: is one provably empty, whose is it, and how it is made empty for sure.

A device's name says nothing of what is on it: the kernel gives names anew at each start. What is on it is known by its
label, and who erases says which label he expects there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import CommandError
from openinfra_charm.values import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openinfra_charm.machine import Machine

MIB, GIB = 1 << 20, 1 << 30
LABEL = b"bluestore block device\n"
"""How a BlueStore label begins; the OSD's uuid follows on the second line (Ceph: src/os/bluestore/BlueStore.cc)."""
LABEL_OFFSETS = (0, GIB, 10 * GIB, 100 * GIB, 1000 * GIB)
"""Where BlueStore keeps its label; Ceph 19 added the copies behind the first (same file, `bdev_label_positions`)."""
ROLES = {"block.db": b"bluefs db", "block.wal": b"bluefs wal"}
"""What a label says of a device that is not the main one (same file, `_minimal_open_bluefs`), by the name of the OSD's link."""
FIRST = 4096
"""The bytes at the beginning that hold the label, and nothing else."""
BY_ID = "/dev/disk/by-id"
UNREADABLE = "cannot be read"
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


@dataclass(frozen=True, slots=True)
class Label:
    """Whose a device is: the OSD's uuid, and as what, by the name of the link in the OSD's folder (`block`, `block.db`)."""

    uuid: str
    role: str


def read_label(machine: Machine, path: str) -> Label | None:
    """Return the BlueStore label that a device carries, if it does.

    Raises:
        DiskError: The device cannot be read.
    """
    try:
        start = machine.read_bytes(path, 4096)
    except OSError as error:
        raise DiskError(f"{path}: {UNREADABLE}: {brief(error)}") from error
    if not start.startswith(LABEL):
        return None
    uuid = start[len(LABEL) :].partition(b"\n")[0].decode("ascii", "replace").strip()
    role = next((role for role, words in ROLES.items() if words in start), "block")
    return Label(uuid[:36], role)


def bears(machine: Machine, path: str, label: Label) -> bool:
    """Return whether a device carries a label at this moment; one that cannot be read is not known to."""
    try:
        return read_label(machine, path) == label
    except DiskError:
        return False


def find_label(machine: Machine, label: Label) -> str | None:
    """Return which of the machine's devices, and parts of them, carries a label now."""
    names = (name.replace("!", "/") for name in machine.list_folder("/sys/class/block"))
    paths = (f"/dev/{name}" for name in names)
    return next(
        (path for path in paths if machine.is_block_device(path) and bears(machine, path, label)), None
    )


def lasting_name(machine: Machine, path: str) -> str:
    """Return the name under which a device is found after a start too; the kernel's where it has no other."""
    names = (f"{BY_ID}/{name}" for name in machine.list_folder(BY_ID))
    return next((name for name in names if machine.resolve(name) == path), path)


def brief(error: Exception) -> str:
    """Return what an error says in one line: of what a daemon prints as it dies, the line with the reason."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if not isinstance(error, CommandError):
        return str(error)
    lines = [line.strip() for line in error.stderr.splitlines() if line.strip()]
    telling = (
        next((line for line in lines if re.search(pattern, line)), "")
        for pattern in (r"\*\* ERROR", r"\(\d+\) [A-Z]", r"FAILED ceph_assert", r"[Ee]rror|[Ff]ail")
    )
    line = next(filter(None, telling), lines[-1] if lines else "")
    # A log line begins with the time, the thread and the level.
    line = re.sub(r"^(\*\* ERROR: |\S+ [0-9a-f]{8,} +-?\d+ )", "", line)
    return f"{error.argv[0]}: {line[:200] or f'exit code {error.code}'}"


def objections(machine: Machine, path: str) -> list[str]:
    """Return why a device is not provably empty; nothing if it is.

    Each check alone is fooled by something that the others see: a lock shows only what is in use now, signatures
    only what blkid or wipefs know, and the ends only where signatures usually are.
    """
    try:
        return list(_objections(machine, path))
    except OSError as error:
        return [f"{UNREADABLE}: {brief(error)}"]


def check_empty(machine: Machine, path: str) -> None:
    """Make sure that a device is provably empty.

    Raises:
        DiskError: It is not, or it cannot be read.
    """
    if reasons := objections(machine, path):
        words = "; ".join(reasons)
        raise DiskError(f"{path}: {words}" if words.startswith(UNREADABLE) else f"{path}: not empty: {words}")


def _objections(machine: Machine, path: str) -> Iterator[str]:
    size = machine.size(path)
    ends = machine.read_bytes(path, MIB), machine.read_bytes(path, MIB, -MIB)
    if not machine.open_exclusively(path):
        yield "in use (mounted, part of an array, or held by a program)"
    probe = machine.run("blkid", "-p", path, check=False)
    if probe.code != 2 and (probe.code or _words(probe.stdout)):  # noqa: PLR2004  blkid(8): nothing was found
        yield f"has a signature ({_signature(probe.stdout) or 'ambivalent'})"
    if machine.run("wipefs", "-n", "-p", path, check=False).stdout.strip():
        yield "has signatures that wipefs knows"
    if any(end.strip(b"\0") for end in ends):
        yield "has data in its first or last MiB"
    labels = [
        offset
        for offset in LABEL_OFFSETS
        if offset + len(LABEL) <= size and machine.read_bytes(path, len(LABEL), offset) == LABEL
    ]
    if labels:
        yield f"has a BlueStore label at {', '.join(f'{offset // GIB} GiB' for offset in labels)}"


def erase_labelled(machine: Machine, path: str, label: Label) -> None:
    """Make the device empty that carries a label, if it still does.

    Raises:
        DiskError: It does not, it is in use, or something is still on it.
    """
    if read_label(machine, path) != label:
        raise DiskError(f"{path}: carries another label than that of OSD {label.uuid}; nothing was erased")
    erase(machine, path)


def erase(machine: Machine, path: str) -> None:
    """Make a device empty, and make sure that it is.

    The places where signatures and labels are get overwritten with zeros; only a flash device is discarded, since
    others may not come back with zeros. The label goes last: whoever is interrupted finds the device again by it.

    Raises:
        DiskError: It is in use, cannot be written, or something is still on it.
    """
    read_label(machine, path)
    if not machine.open_exclusively(path):
        raise DiskError(f"{path}: in use; stop what holds it first")
    try:
        size = machine.size(path)
        for offset in (*LABEL_OFFSETS[1:], size - 2 * MIB):
            if 0 < offset < size:
                _zero(machine, path, offset, min(2 * MIB, size - offset))
        if not _rotates(machine, path):
            # A device without discard refuses; the zeros suffice.
            machine.run("blkdiscard", "-o", str(FIRST), path, check=False, timeout=50)
        _zero(machine, path, FIRST, min(2 * MIB, size) - FIRST)
        _zero(machine, path, 0, FIRST)
        # What it knows elsewhere.
        machine.run("wipefs", "-aq", path)
    except (CommandError, OSError) as error:
        raise DiskError(f"{path}: cannot be erased: {brief(error)}") from error
    if left := objections(machine, path):
        raise DiskError(f"{path}: still not empty after erasing: {'; '.join(left)}")


def _zero(machine: Machine, path: str, offset: int, length: int) -> None:
    machine.run("blkdiscard", "-z", "-o", str(offset), "-l", str(length), path)


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
    # Its exit code is that of one device that it could not look at; the others are listed.
    output = machine.run("lsblk", "-J", "-b", "-d", "-o", columns, check=False).stdout
    listed = json.loads(output or '{"blockdevices": []}')
    return [d for d in listed["blockdevices"] if d["size"] and machine.is_block_device(d["path"])]


def _rotates(machine: Machine, path: str) -> bool:
    queue = f"/sys/class/block/{path.rpartition('/')[2]}/queue/rotational"
    return (machine.read(queue) or "1").strip() == "1"


def _signature(output: str) -> str:
    """Return the TYPE or PTTYPE that blkid's output names."""
    words = _words(output)
    return words.get("TYPE") or words.get("PTTYPE") or ""


def _words(output: str) -> dict[str, str]:
    """Return what blkid's output says of a device's content; of a partition it also says where that is on the table."""
    words = dict(word.split("=", 1) for word in output.split() if "=" in word)
    return {name: text.strip('"') for name, text in words.items() if not name.startswith("PART_ENTRY_")}
