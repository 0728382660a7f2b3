"""The log of a disk's writes, and the disk as it was left at any moment of it when the power went.

The format is that of Linux' dm-log-writes (drivers/md/dm-log-writes.c), as QEMU writes it (block/blklogwrites.c).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import random
    from pathlib import Path

SECTOR = 512
BLOCK = 4096
"""What a disk writes as a whole or not at all (its physical block)."""
_ENTRY = struct.Struct("<QQQQ")
_FLUSH, _DISCARD = 1, 4


@dataclass(frozen=True, slots=True)
class Write:
    """A write of `size` bytes to byte `place` of the disk; its data are at `data` in the log. A flush has no size."""

    place: int
    size: int
    data: int
    is_flush: bool

    @property
    def end(self) -> int:
        """How long the log was when it had this."""
        return self.data + self.size


class Log:
    """All writes to a disk, in their order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.writes = _read(path)
        self._ends = [write.end for write in self.writes]

    @property
    def flushes(self) -> int:
        """How many flushes there are."""
        return sum(write.is_flush for write in self.writes)

    def before(self, position: int) -> int:
        """Return how many writes the log had when it was so many bytes long."""
        return bisect_right(self._ends, position)

    def replay(self, disk: Path, first: int, last: int) -> None:
        """Put writes `first` to `last` (not with it) on a disk."""
        with self._path.open("rb") as log, disk.open("r+b") as target:
            for write in self.writes[first:last]:
                _copy(log, target, write.data, write.place, write.size)

    def scatter(self, disk: Path, first: int, last: int, chance: random.Random, share: float) -> None:
        """Put about a `share` of the blocks that were written from `first` to `last` on a disk: no order, torn writes."""
        with self._path.open("rb") as log, disk.open("r+b") as target:
            for write in self.writes[first:last]:
                done = 0
                while done < write.size:
                    size = min(BLOCK - (write.place + done) % BLOCK, write.size - done)
                    if chance.random() < share:
                        _copy(log, target, write.data + done, write.place + done, size)
                    done += size

    def last_flush(self, count: int) -> int:
        """Return how many of the first `count` writes a disk cannot lose: those up to the last flush among them."""
        while count and not self.writes[count - 1].is_flush:
            count -= 1
        return count


def _read(path: Path) -> list[Write]:
    size = path.stat().st_size
    found: list[Write] = []
    place = SECTOR
    with path.open("rb") as log:
        while place + SECTOR <= size:
            log.seek(place)
            sector, sectors, flags, _ = _ENTRY.unpack(log.read(_ENTRY.size))
            if not sectors and not flags:
                break  # QEMU died before it wrote this one
            length = 0 if flags & _DISCARD else sectors * SECTOR
            write = Write(sector * SECTOR, length, place + SECTOR, bool(flags & _FLUSH))
            if write.end > size:
                break
            found.append(write)
            place = write.end
    return found


def _copy(log: BinaryIO, target: BinaryIO, at: int, place: int, size: int) -> None:
    log.seek(at)
    target.seek(place)
    target.write(log.read(size))
