"""The OSDs of one machine: making them, taking them out, and what the cluster says of them."""

from __future__ import annotations

import dataclasses
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import disk
from admin import CommandRefusedError
from monitor import new_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from admin import Admin
    from openinfra_charm.machine import Machine
    from openinfra_charm.service import Services

FOLDER = "/var/lib/ceph/osd"


@dataclass(frozen=True, kw_only=True, slots=True)
class Osd:
    """An OSD of this machine.

    `phase` is `making` (then `number` may still be -1), `in`, `leaving`, or `removed`: that record stays so that
    a device which an operator took out does not come back by the configuration that still names it.
    """

    uuid: str
    device: str
    db_device: str = ""
    number: int = -1
    phase: str = "making"

    @property
    def unit(self) -> str:
        """The systemd unit that runs it."""
        return f"ceph-osd@{self.number}.service"


class Osds:
    """The OSDs that live on this machine.

    Each is on record before anything of it exists in the cluster or on its device, so that what a crash left half
    made is found and undone.
    """

    def __init__(self, machine: Machine, admin: Admin, application: str) -> None:
        self._machine = machine
        self._admin = admin
        self._folder = f"/var/lib/openinfra/{application}/osds"

    def all(self) -> list[Osd]:
        """Return this machine's OSDs that serve, by number."""
        return sorted((osd for osd in self._records() if osd.phase == "in"), key=lambda osd: osd.number)

    def find(self, number: int) -> Osd | None:
        """Return one of this machine's OSDs, also while it leaves."""
        here = (osd for osd in self._records() if osd.phase in {"in", "leaving"})
        return next((osd for osd in here if osd.number == number), None)

    def _was_removed(self, device: str) -> bool:
        """Return whether an operator has taken the OSD on this device out."""
        return any((osd.device, osd.phase) == (device, "removed") for osd in self._records())

    def holder(self, path: str) -> Osd | None:
        """Return the OSD of this machine whose label the device carries."""
        label = disk.label_uuid(self._machine, path)
        return next((osd for osd in self.all() if osd.uuid == label), None)

    def provide(self, names: Iterable[str]) -> Iterator[disk.DiskError]:
        """Make OSDs of what shall always be one here; yield what stands in the way of each that cannot be.

        A device that is not there, or whose OSD an operator has taken out, is passed over. Files have no names of their
        own: as many are made as are missing, those included that were taken out.

        Args:
            names: Block devices, and `file:SIZE` for each OSD in a file.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        files = sum(osd.device.startswith(disk.FILE_FOLDER) for osd in self._records())
        for name in names:
            try:
                if name.startswith("file:"):
                    files -= 1
                    if files < 0:
                        self.create(name)
                elif self._machine.exists(name):
                    path = disk.find(self._machine, name)
                    if not self.holder(path) and not self._was_removed(path):
                        self.create(path)
            except disk.DiskError as error:
                yield error

    def create(
        self, device: str, *, db_device: str = "", device_class: str = "", number: int | None = None
    ) -> Osd:
        """Make an OSD of an empty device; when it fails, nothing of it is left.

        Args:
            device: A block device's real path, or `file:SIZE`.
            db_device: A faster device for its database, if any.
            device_class: Its CRUSH device class; empty: Ceph finds out.
            number: The number of a destroyed OSD whose place it takes.

        Raises:
            DiskError: A device is not empty, or the file cannot be made.
            UnreachableError: The monitors do not answer.
        """
        identity = str(uuid.uuid4())
        if device.startswith("file:"):
            device = disk.make_file(self._machine, device.removeprefix("file:"), identity)
        for path in filter(None, (device, db_device)):
            if self._machine.is_block_device(path) and (reasons := disk.objections(self._machine, path)):
                raise disk.DiskError(f"{path}: not empty: {'; '.join(reasons)}")
        for old in self._records():
            if (old.device, old.phase) == (device, "removed"):
                self._machine.remove(f"{self._folder}/{old.uuid}.json")
        osd = Osd(uuid=identity, device=device, db_device=db_device)
        self._save(osd)
        try:
            osd = self._make(osd, device_class, number)
        except Exception:
            # Whatever it was: what is half made goes, then the error goes on its way.
            self._undo(osd, keep=number)
            raise
        self._save(osd)
        return osd

    def clean_up(self, keep: int | None = None) -> None:
        """Undo what a crash left half made.

        Args:
            keep: The number of an OSD that is being replaced: it stays in the cluster, destroyed.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        for osd in self._records():
            if osd.phase == "making":
                self._undo(osd, keep=keep)

    def remove(self, osd: Osd, services: Services, *, zap: bool, keep_number: bool = False) -> None:
        """Take an OSD that holds nothing out of the cluster for good, and erase its device if asked to.

        Whether it holds nothing is for the caller to find out (`is_safe_to_destroy`).

        Raises:
            DiskError: The device could not be erased; the OSD is out nevertheless.
            UnreachableError: The monitors do not answer.
        """
        # From here on no hook starts it again.
        self._save(dataclasses.replace(osd, phase="leaving"))
        services.stop(osd.unit)
        self._drop(osd.number, keep_number=keep_number)
        self._save(dataclasses.replace(osd, phase="removed"))
        self._clear(osd, zap=zap)

    def _drop(self, number: int, *, keep_number: bool) -> None:
        if number in self._admin.command("osd ls"):
            self._admin.command("osd down", ids=[str(number)], definitely_dead=True)
            prefix = "osd destroy-actual" if keep_number else "osd purge-actual"
            self._admin.command(prefix, id=number, yes_i_really_mean_it=True)
        self._machine.remove(f"{FOLDER}/ceph-{number}")

    def _make(self, osd: Osd, device_class: str, number: int | None) -> Osd:
        key = new_key()
        params = {"cephx_secret": key} | ({"crush_device_class": device_class} if device_class else {})
        wanted: dict[str, Any] = {} if number is None else {"id": number}
        data = json.dumps(params).encode()
        answer = self._admin.command("osd new", data, uuid=osd.uuid, **wanted)
        osd = dataclasses.replace(osd, number=int(answer["osdid"]))
        self._save(osd)
        folder = f"{FOLDER}/ceph-{osd.number}"
        self._machine.remove(folder)
        self._machine.make_folder(folder, mode=0o750, user="ceph", group="ceph")
        keyring = f"[osd.{osd.number}]\n\tkey = {key}\n"
        self._machine.write(f"{folder}/keyring", keyring, mode=0o600, user="ceph", group="ceph")
        for name, path in (("block", osd.device), ("block.db", osd.db_device)):
            if path:
                self._machine.change_owner(path, user="ceph", group="ceph")
                self._machine.link(f"{folder}/{name}", path)
        self._machine.run("ceph", "mon", "getmap", "-o", f"{folder}/activate.monmap", timeout=20)
        self._machine.change_owner(f"{folder}/activate.monmap", user="ceph", group="ceph")
        self._machine.run(
            "ceph-osd", "-i", str(osd.number), "--mkfs", "--osd-uuid", osd.uuid, "--osd-data", folder,
            "--monmap", f"{folder}/activate.monmap", "--setuser", "ceph", "--setgroup", "ceph",
        )  # fmt: skip
        return dataclasses.replace(osd, phase="in")

    def _undo(self, osd: Osd, keep: int | None = None) -> None:
        known = self._admin.command("osd dump")["osds"]
        for number in (entry["osd"] for entry in known if entry["uuid"] == osd.uuid):
            self._drop(number, keep_number=number == keep)
        self._clear(osd, zap=True)
        self._machine.remove(f"{self._folder}/{osd.uuid}.json")

    def _clear(self, osd: Osd, *, zap: bool) -> None:
        for path in filter(None, (osd.device, osd.db_device)):
            if path.startswith(f"{disk.FILE_FOLDER}/"):
                self._machine.remove(path)
            elif zap and self._machine.is_block_device(path):
                disk.erase(self._machine, path)

    def _records(self) -> list[Osd]:
        names = self._machine.list_folder(self._folder)
        texts = [self._machine.read(f"{self._folder}/{name}") for name in names if name.endswith(".json")]
        return [Osd(**json.loads(text)) for text in texts if text]

    def _save(self, osd: Osd) -> None:
        text = json.dumps(dataclasses.asdict(osd), indent=1, sort_keys=True)
        self._machine.write(f"{self._folder}/{osd.uuid}.json", text + "\n")


def is_safe_to_destroy(admin: Admin, numbers: list[int]) -> bool:
    """Return whether these OSDs hold nothing that is not elsewhere in full; one that does not exist is no risk.

    Asked for JSON, Ceph refuses only as long as it knows nothing of some placement groups; else its answer tells for
    which of the OSDs it is so.
    """
    try:
        answer = admin.command("osd safe-to-destroy", ids=[str(number) for number in numbers])
    except CommandRefusedError:
        return False
    return set(numbers) <= set(answer["safe_to_destroy"])


def is_ok_to_stop(admin: Admin, numbers: list[int]) -> bool:
    """Return whether all data stay available while these OSDs are down together."""
    known = [number for number in numbers if number in admin.command("osd ls")]
    if not known:
        return True
    try:
        admin.command("osd ok-to-stop", ids=[str(number) for number in known])
    except CommandRefusedError:
        return False
    return True
