"""The life of a machine under load until its power is cut, and what is found on its disk afterwards."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from .guest import Guest, GuestError
from .image import run
from .writes import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .guest import Entry, Workshop

DISK = 3 << 30
LOAD_SECONDS = (15.0, 30.0)
LEAST_ENTRIES = 30
SERVE_SECONDS = 600

# The first partition has a file system, the second is for an OSD.
_MAKE = """
printf 'size=1GiB\\n,\\n' | sfdisk --quiet --label gpt /dev/disk/by-id/virtio-data
udevadm settle
until [ -e /dev/disk/by-id/virtio-data-part2 ]; do sleep 0.1; done
mkfs.{kind} -q /dev/disk/by-id/virtio-data-part1
echo '/dev/disk/by-id/virtio-data-part1 /srv/data {kind} defaults 0 0' >>/etc/fstab
mkdir /srv/data
mount /srv/data
"""


HONEST = ("as the killed guest left it", "lost its cache", "wrote half of its cache, in pieces")
IGNORANT = "ignored flushes"


class Load(Protocol):
    """Something that writes, and whose acknowledged writes have to be there after a power loss."""

    name: str
    file_system: str

    def prepare(self, guest: Guest) -> None:
        """Bring it into service on an empty disk."""

    def start(self, guest: Guest) -> None:
        """Begin to write; each acknowledged write goes into the ledger."""

    def serve(self, guest: Guest) -> None:
        """Let it serve from the disk that is there, with nothing but what is on the machine.

        Raises:
            GuestError: It does not.
        """

    def stop(self, guest: Guest) -> None:
        """Let go of the disk, whatever state it is in."""

    def missing(self, guest: Guest, acknowledged: list[str]) -> list[str]:
        """Return what is not as it was acknowledged."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was found after a power loss: how many writes had been acknowledged, and what of them was missing.

    `failure` says why nothing could be asked for.
    """

    load: str
    disk: str
    acknowledged: int
    missing: tuple[str, ...] = ()
    failure: str = ""

    @property
    def is_good(self) -> bool:
        """Whether all is there."""
        return not self.missing and not self.failure

    def __str__(self) -> str:
        found = f"{len(self.missing)} LOST: {'; '.join(self.missing[:3])}" if self.missing else "all there"
        return f"{self.load}: disk {self.disk}, {self.acknowledged} acknowledged, {self.failure or found}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """When the power went, in writes until then, and what was on the disk: all up to `safe`, of the rest a `share`.

    A disk may lose what it was given after the last flush, or write it in part and in any order.
    """

    count: int
    safe: int
    share: float
    disk: str


def live(shop: Workshop, load: Load, chance: random.Random, tell: Callable[[str], None]) -> Life:
    """Let a machine live under load, and kill it."""
    shop.close()
    began = time.monotonic()
    root, data, log = shop.new_root("root"), shop.folder / "data.img", shop.folder / "data.log"
    log.unlink(missing_ok=True)
    _make_empty(data)
    guest = shop.start(root=root, data=data, log=log)
    guest.script(_MAKE.format(kind=load.file_system))
    load.prepare(guest)
    guest.script("sync")
    load.start(guest)
    wanted = chance.uniform(*LOAD_SECONDS)
    limit = time.monotonic() + SERVE_SECONDS
    time.sleep(wanted)
    while len(guest.ledger.entries) < LEAST_ENTRIES:
        if time.monotonic() > limit:
            raise GuestError(
                f"{load.name} wrote hardly anything: {guest.script('systemctl status load', check=False)}"
            )
        time.sleep(1)
    entries = guest.cut_power()
    life = Life(shop=shop, load=load, root=root, data=data, log=Log(log), entries=entries)
    tell(
        f"{load.name}: killed {time.monotonic() - began:.0f} s after it was started, "
        f"{len(entries)} writes acknowledged, {life.log.flushes} flushes"
    )
    return life


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """A life that is over; its disk can be looked at as it was left, and as it would have been left at other moments."""

    shop: Workshop
    load: Load
    root: Path
    data: Path
    log: Log
    entries: list[Entry]

    def examine(self, moments: list[Moment]) -> Iterator[Finding]:
        """Start the machine again and say what is there; then the same for the disk at other moments."""
        guest = self.shop.start(root=self.root, data=self.data)
        yield self._finding(guest, HONEST[0], len(self.entries))
        kept, disk, done = self.shop.folder / "kept.img", self.shop.folder / "cut.img", 0
        _make_empty(kept)
        for moment in sorted(moments, key=lambda moment: moment.safe):
            self.load.stop(guest)
            guest.unplug()
            self.log.replay(kept, done, moment.safe)
            done = moment.safe
            run("cp", "--sparse=always", str(kept), str(disk))
            self.log.scatter(disk, moment.safe, moment.count, random.Random(moment.count), moment.share)
            guest.plug(disk)
            yield self._finding(guest, moment.disk, self._acknowledged(moment.count))

    def moments(self, chance: random.Random, number: int) -> list[Moment]:
        """Choose moments under load: the instants of acknowledgements, when nothing is late yet, and any others."""
        first = self.log.before(self.entries[0].position)
        found = []
        for turn in range(number):
            at_once = self.log.before(chance.choice(self.entries).position)
            count = at_once if turn % 2 else chance.randint(first, len(self.log.writes))
            disk, share = ((HONEST[1], 0.0), (HONEST[2], 0.5))[turn // 2 % 2]
            found.append(Moment(count=count, safe=self.log.last_flush(count), share=share, disk=disk))
        return found

    def forgetful(self) -> Moment:
        """Return the end of this life on a disk that had not done what it said since half of the load."""
        first = self.log.before(self.entries[0].position)
        end = len(self.log.writes)
        safe = self.log.last_flush((first + end) // 2)
        return Moment(count=end, safe=safe, share=0.0, disk=IGNORANT)

    def _acknowledged(self, count: int) -> int:
        return sum(self.log.before(entry.position) <= count for entry in self.entries)

    def _finding(self, guest: Guest, disk: str, acknowledged: int) -> Finding:
        lines = [entry.line for entry in self.entries[:acknowledged]]
        finding = Finding(load=self.load.name, disk=disk, acknowledged=acknowledged)
        try:
            self.load.serve(guest)
            return replace(finding, missing=tuple(self.load.missing(guest, lines)))
        except GuestError as error:
            return replace(finding, failure=str(error))


def _make_empty(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(DISK)
