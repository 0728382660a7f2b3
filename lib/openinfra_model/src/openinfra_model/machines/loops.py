"""Loop devices (loop(4)): they belong to the whole host, so a container that goes away must not leave its own behind."""

from __future__ import annotations

import fcntl
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COUNT = 32  # as many as the containers' profile names

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


def detach(candidates: Callable[[str], Iterable[Path]]) -> None:
    """Detach the loop devices of a machine; one in use goes when its last user does.

    Args:
        candidates: from a backing file's name, as the machine that attached it sees it, to where that file would be
            on the host. The device is the machine's if one of them is the very file.
    """
    for device, name in attached():
        with device.open("rb") as stream:
            status = fcntl.ioctl(stream, _LOOP_GET_STATUS64, bytes(_STATUS_BYTES))
            _, inode = struct.unpack_from("QQ", status)
            if any(path.exists() and path.stat().st_ino == inode for path in candidates(name)):
                fcntl.ioctl(stream, _LOOP_CLR_FD)


def detach_deleted() -> None:
    """Detach the loop devices whose file is deleted: nothing tells any more which machine attached them."""
    for device, name in attached():
        if name.endswith(" (deleted)"):
            with device.open("rb") as stream:
                fcntl.ioctl(stream, _LOOP_CLR_FD)


def attached() -> list[tuple[Path, str]]:
    """List the loop devices in use with the names of their backing files."""
    return [
        (Path("/dev", record.parts[3]), record.read_text(encoding="utf-8").rstrip("\n"))
        for record in Path("/sys/block").glob("loop*/loop/backing_file")
    ]
