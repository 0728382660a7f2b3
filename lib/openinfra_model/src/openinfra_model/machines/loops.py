"""Loop devices (loop(4)): they belong to the whole host, so a container that goes away must not leave its own behind."""

from __future__ import annotations

import fcntl
import struct
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COUNT = 32  # as many as the containers' profile names

_SHARED = "/var/lib/juju"
# linux/loop.h
_LOOP_CLR_FD = 0x4C01
_LOOP_GET_STATUS64 = 0x4C05
_LOOP_CTL_ADD = 0x4C80
_STATUS_BYTES = 232  # struct loop_info64, which begins with the backing file's device and inode


def make_devices() -> None:
    """Have the kernel make loop0 to loop31."""
    control = Path("/dev/loop-control")
    if not control.exists():
        return
    with control.open("rb") as stream:
        for number in range(COUNT):
            try:
                fcntl.ioctl(stream, _LOOP_CTL_ADD, number)
            except FileExistsError:
                continue


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A loop device in use: its backing file's name, as whoever attached it sees it, and which file that is."""

    device: Path
    name: str
    filesystem: int
    inode: int

    def is_backed_by(self, path: Path) -> bool:
        """Tell whether this very file is behind the device."""
        try:
            found = path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (self.filesystem, self.inode)


def detach(candidates: Callable[[str], Iterable[Path]]) -> list[Attached]:
    """Detach the loop devices of a machine, and return them; one in use goes when its last user does.

    One whose file is deleted is left alone: nothing tells whose it is.

    Args:
        candidates: from a backing file's name, as the machine that attached it sees it, to where that file would be
            on the host. The device is the machine's if one of them is the very file.
    """
    found = [one for one in attached() if any(map(one.is_backed_by, candidates(one.name)))]
    for one in found:
        with one.device.open("rb") as stream:
            fcntl.ioctl(stream, _LOOP_CLR_FD)
    return found


def places(root: Path, shared: Path, name: str) -> tuple[Path, Path]:
    """Return where a machine's file is on the host: in its root, or in what it sees as `/var/lib/juju`."""
    seen = PurePosixPath(name)
    if seen.is_relative_to(_SHARED):
        seen = seen.relative_to(_SHARED)
    return root / name.removeprefix("/"), shared / str(seen).removeprefix("/")


def attached() -> list[Attached]:
    """List the loop devices in use."""
    found: list[Attached] = []
    for record in Path("/sys/block").glob("loop*/loop/backing_file"):
        device = Path("/dev", record.parts[3])
        try:
            with device.open("rb") as stream:
                status = fcntl.ioctl(stream, _LOOP_GET_STATUS64, bytes(_STATUS_BYTES))
            name = record.read_text(encoding="utf-8").rstrip("\n")
        except OSError:
            continue  # it has just been detached, or has no node here
        filesystem, inode = struct.unpack_from("QQ", status)
        found.append(Attached(device=device, name=name, filesystem=filesystem, inode=inode))
    return found
