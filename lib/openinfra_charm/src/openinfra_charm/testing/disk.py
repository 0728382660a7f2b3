"""Disks in memory."""

from __future__ import annotations

import os


class Disk:
    """The bytes of a block device or a sparse file: zeros but where something was written.

    `holder` names who has it open for itself alone; `rotates` and `discards` are what the kernel says of it. With an
    `errno` nothing can be read or written any more (EIO), or there is no medium in the drive (ENOMEDIUM).
    """

    def __init__(self, size: int, *, rotates: bool = True, discards: bool = False) -> None:
        self.size = size
        self.rotates = rotates
        self.discards = discards
        self.holder = ""
        self.errno = 0
        self._written: dict[int, bytes] = {}

    def read(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from byte `offset` (negative: from the end).

        Raises:
            OSError: The disk is broken, or there is no medium.
        """
        self._work()
        start = offset if offset >= 0 else max(self.size + offset, 0)
        content = bytearray(max(min(size, self.size - start), 0))
        for place, data in self._written.items():
            first, last = max(place, start), min(place + len(data), start + len(content))
            if first < last:
                content[first - start : last - start] = data[first - place : last - place]
        return bytes(content)

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` at byte `offset` (negative: from the end)."""
        start = offset if offset >= 0 else self.size + offset
        self.erase(start, len(data))
        self._written[start] = data

    def erase(self, offset: int, length: int) -> None:
        """Fill a range with zeros.

        Raises:
            OSError: The disk is broken, or there is no medium.
        """
        self._work()
        end = offset + length
        for place, data in list(self._written.items()):
            if place < end and offset < place + len(data):
                del self._written[place]
                if place < offset:
                    self._written[place] = data[: offset - place]
                if place + len(data) > end:
                    self._written[end] = data[end - place :]

    def _work(self) -> None:
        if self.errno:
            raise OSError(self.errno, os.strerror(self.errno))
