"""What is on record of a machine's OSDs: which there are, on which devices, and what is being done with each."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import disk

if TYPE_CHECKING:
    from collections.abc import Collection

    from openinfra_charm.machine import Machine

FOLDER = "/var/lib/ceph/osd"
LINKS = ("block", "block.db", "block.wal")
"""An OSD's links to its devices in its folder: the main one, that of its database, and of its write-ahead log."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Osd:
    """An OSD of this machine.

    The uuid says which one it is: its devices bear it in their labels, and the cluster knows the OSD by it. Numbers are
    given again, and devices get new names: `device`, `db_device` and `wal_device` are what they were called last.

    `parts` are the links to parts of devices that it shares with others, comma-separated.

    `phase` is `making` (then `number` may still be -1), `in`, `leaving`, `destroyed` (its number waits for the one that
    takes its place), or `removed`: that record stays so that a device which an operator took out does not come back by
    the configuration that still names it.
    """

    uuid: str
    device: str
    db_device: str = ""
    wal_device: str = ""
    parts: str = ""
    number: int = -1
    phase: str = "making"

    @property
    def unit(self) -> str:
        """The systemd unit that runs it."""
        return f"ceph-osd@{self.number}.service"

    @property
    def folder(self) -> str:
        """Where its daemon finds what is its own, and its devices behind links."""
        return f"{FOLDER}/ceph-{self.number}"

    @property
    def entity(self) -> str:
        """Its Ceph user."""
        return f"osd.{self.number}"

    @property
    def keyring(self) -> str:
        """Where its daemon finds its key."""
        return f"{self.folder}/keyring"

    @property
    def names(self) -> dict[str, str]:
        """What its devices were called last, by the link to each."""
        names = zip(LINKS, (self.device, self.db_device, self.wal_device), strict=True)
        return {link: name for link, name in names if name}

    def renamed(self, names: dict[str, str]) -> Osd:
        """Return it with other names of its devices."""
        device, db_device, wal_device = ((self.names | names).get(link, "") for link in LINKS)
        return dataclasses.replace(self, device=device, db_device=db_device, wal_device=wal_device)

    def label(self, link: str) -> disk.Label:
        """Return the label that the device behind a link bears."""
        return disk.Label(self.uuid, link)


class Records:
    """The records of a machine's OSDs, a file each.

    An OSD is on record before anything of it exists in the cluster or on its device, so that what a crash left half
    made is found and undone.
    """

    def __init__(self, machine: Machine, application: str) -> None:
        self._machine = machine
        self._folder = f"/var/lib/openinfra/{application}/osds"

    def all(self, *phases: str) -> list[Osd]:
        """Return all OSDs on record, or those in these phases only."""
        names = self._machine.list_folder(self._folder)
        texts = [self._machine.read(f"{self._folder}/{name}") for name in names if name.endswith(".json")]
        known = [Osd(**json.loads(text)) for text in texts if text]
        return [osd for osd in known if not phases or osd.phase in phases]

    def save(self, osd: Osd) -> None:
        """Put an OSD on record as it is now."""
        text = json.dumps(dataclasses.asdict(osd), indent=1, sort_keys=True)
        self._machine.write(f"{self._folder}/{osd.uuid}.json", text + "\n")

    def forget(self, osd: Osd) -> None:
        """Take an OSD off the record."""
        self._machine.remove(f"{self._folder}/{osd.uuid}.json")

    def forget_removed(self, names: Collection[str]) -> None:
        """Take OSDs off the record that an operator took out of devices of these names."""
        for osd in self.all("removed"):
            if osd.device in names:
                self.forget(osd)

    def end_replaced(self, number: int) -> None:
        """Note that a destroyed OSD's number has been given to the one that takes its place."""
        for osd in self.all("destroyed"):
            if osd.number == number:
                self.save(dataclasses.replace(osd, phase="removed"))
