"""The OSDs of one machine: making them, taking them out, and what the cluster says of them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import uuid
from typing import TYPE_CHECKING, Any

import cephx
import disk
import parts
from admin import CommandRefusedError
from openinfra_charm.machine import CommandError
from osd_records import LINKS, Osd, Records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from admin import Admin
    from openinfra_charm.daemon.services import Services
    from openinfra_charm.machine import Machine

SCRATCH = "/run/openinfra/ceph"
CAPS = ["osd", "allow *", "mon", "allow profile osd", "mgr", "allow profile osd"]
"""What an OSD may do (Ceph: src/mon/AuthMonitor.cc, validate_osd_new)."""
PRESENT = ("in", "leaving", "destroyed")
"""The phases of OSDs that are here: in service, about to leave, or with a number that waits for the next one."""


class Osds:
    """The OSDs that live on this machine."""

    def __init__(self, machine: Machine, admin: Admin, application: str) -> None:
        self._machine = machine
        self._admin = admin
        self._records = Records(machine, application)

    def all(self) -> list[Osd]:
        """Return this machine's OSDs that serve, by number."""
        return sorted(self._records.all("in"), key=lambda osd: osd.number)

    def uuids(self) -> list[str]:
        """Return which OSDs are here, those included that are about to leave, and those whose number is kept."""
        return sorted(osd.uuid for osd in self._records.all(*PRESENT))

    def find(self, number: int) -> Osd | None:
        """Return one of this machine's OSDs, also while it leaves, or while its number waits for another one."""
        here = [osd for osd in self._records.all(*PRESENT) if osd.number == number]
        return min(here, key=lambda osd: PRESENT.index(osd.phase), default=None)

    def get(self, identity: str) -> Osd | None:
        """Return the OSD with this uuid that is on record here, whatever has become of it."""
        return next((osd for osd in self._records.all() if osd.uuid == identity), None)

    def _was_removed(self, path: str) -> bool:
        """Return whether an operator has taken the OSD on this device out."""
        names = {path, disk.lasting_name(self._machine, path)}
        return any(osd.device in names for osd in self._records.all("removed", "destroyed"))

    def holder(self, path: str) -> Osd | None:
        """Return the OSD of this machine whose label the device carries, be it half made or about to leave.

        One that cannot be read is taken for that of the OSD which had a device of this name, and has none elsewhere.
        """
        present = self._records.all("making", "in", "leaving")
        try:
            label = disk.read_label(self._machine, path)
        except disk.DiskError:
            names = {path, disk.lasting_name(self._machine, path)}
            had = ((osd, link) for osd in present for link, name in osd.names.items() if name in names)
            return next((osd for osd, link in had if link not in self.media(osd)), None)
        return next((osd for osd in present if label and osd.uuid == label.uuid), None)

    def media(self, osd: Osd) -> dict[str, str]:
        """Return where an OSD's devices are now, by the link to each: those that bear its label at this moment."""
        found: dict[str, str] = {}
        for link, name in osd.names.items():
            path = self._machine.resolve(name)
            if not (self._machine.exists(path) and disk.bears(self._machine, path, osd.label(link))):
                path = disk.find_label(self._machine, osd.label(link)) or ""
            found |= {link: path} if path else {}
        return found

    def follow_devices(self) -> None:
        """Put on record what devices are called now, from the links that an OSD's start has put right (files/osd-device)."""
        for osd in self.all():
            links = {link: self._machine.resolve(f"{osd.folder}/{link}") for link in osd.names}
            names = {
                link: disk.lasting_name(self._machine, path)
                for link, path in links.items()
                if path != self._machine.resolve(osd.names[link])
                and self._machine.exists(path)
                and disk.bears(self._machine, path, osd.label(link))
            }
            if names:
                self._records.save(osd.renamed(names))

    def absent(self, names: Iterable[str]) -> list[str]:
        """Return which of these devices this machine does not have."""
        return [name for name in names if not name.startswith("file:") and not self._machine.exists(name)]

    def provide(self, names: Iterable[str]) -> Iterator[disk.DiskError]:
        """Make OSDs of what shall always be one here; yield what stands in the way of each that cannot be.

        A device that is not there, or whose OSD an operator has taken out, is passed over. Files have no names of their
        own: as many are made as are missing, those included that were taken out.

        Args:
            names: Block devices, and `file:SIZE` for each OSD in a file.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        files = sum(osd.device.startswith(disk.FILE_FOLDER) for osd in self._records.all())
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
        self,
        device: str,
        *,
        db_device: str = "",
        wal_device: str = "",
        parts_of: Mapping[str, int] | None = None,
        device_class: str = "",
        number: int | None = None,
        identity: str = "",
    ) -> Osd:
        """Make an OSD of an empty device; when it fails, nothing of it is left.

        Args:
            device: A block device's real path, or `file:SIZE`.
            db_device: A faster device for its database, if any.
            wal_device: A faster device for its write-ahead log, if any.
            parts_of: Which of these, by the OSD's link, it gets a part of only, of how many bytes (`parts.share`).
            device_class: Its CRUSH device class; empty: Ceph finds out.
            number: The number of a destroyed OSD whose place it takes.
            identity: Its uuid, where it has one already.

        Raises:
            DiskError: A device is not empty, or Ceph can make no OSD of it.
            UnreachableError: The monitors do not answer.
        """
        identity = identity or str(uuid.uuid4())
        if device.startswith("file:"):
            device = disk.make_file(self._machine, device.removeprefix("file:"), identity)
        sizes = dict(parts_of or {})
        for link, path in zip(LINKS, (device, db_device, wal_device), strict=True):
            if path and link not in sizes and self._machine.is_block_device(path):
                disk.check_empty(self._machine, path)
        names = {path: disk.lasting_name(self._machine, path) for path in (device, db_device, wal_device)}
        self._records.forget_removed({device, names[device]})
        osd = Osd(
            uuid=identity,
            device=names[device],
            db_device=names[db_device],
            wal_device=names[wal_device],
            parts=",".join(sizes),
        )
        self._records.save(osd)
        try:
            for link, size in sizes.items():
                path = parts.make(self._machine, self._machine.resolve(osd.names[link]), size, identity, link)
                osd = osd.renamed({link: disk.lasting_name(self._machine, path)})
                self._records.save(osd)
            osd = self._make(osd, device_class, number)
        except (CommandError, CommandRefusedError, OSError) as error:
            self._undo(osd, keep=number)
            raise disk.DiskError(f"{device}: Ceph cannot make an OSD of it: {disk.brief(error)}") from error
        except Exception:
            # Whatever it was: what is half made goes, then the error goes on its way.
            self._undo(osd, keep=number)
            raise
        self._records.save(osd)
        self._records.end_replaced(osd.number)
        return osd

    def clean_up(self, keep: int | None = None) -> None:
        """Undo what a crash left half made.

        Args:
            keep: The number of an OSD that is being replaced: it stays in the cluster, destroyed.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        for osd in self._records.all("making"):
            self._undo(osd, keep=keep)

    def remove(self, osd: Osd, services: Services, *, zap: bool, keep_number: bool = False) -> None:
        """Take an OSD that holds nothing out of the cluster for good, and erase its devices if asked to.

        Whether it holds nothing is for the caller to find out (`is_safe_to_destroy`).

        Raises:
            DiskError: A device could not be erased; the OSD is out nevertheless.
            UnreachableError: The monitors do not answer.
        """
        # The record stays: it names the device that was taken out, by what that is called now.
        places = self.media(osd).items()
        osd = osd.renamed({link: disk.lasting_name(self._machine, path) for link, path in places})
        if osd.phase != "destroyed":
            # From here on no hook starts it again.
            self._records.save(dataclasses.replace(osd, phase="leaving"))
        if self._has_folder(osd):
            services.stop(osd.unit)
        self._drop(osd, keep_number=keep_number)
        out = dataclasses.replace(osd, phase="destroyed" if keep_number else "removed")
        try:
            self._clear(osd, zap=zap)
        except disk.DiskError:
            self._records.save(out)
            raise
        # Only now: what is interrupted before is done again, with the devices.
        self._records.save(out)

    def is_known(self, osd: Osd) -> bool:
        """Return whether the cluster's OSD of this number is this one, and not another that has the number now."""
        entries = self._admin.command("osd dump")["osds"]
        return any((entry["osd"], entry["uuid"]) == (osd.number, osd.uuid) for entry in entries)

    def is_up(self, osd: Osd) -> bool:
        """Return whether the cluster has an OSD in service."""
        entries = self._admin.command("osd dump")["osds"]
        return any(entry["uuid"] == osd.uuid and entry["up"] for entry in entries)

    def wait_until_up(self, osds: Iterable[Osd], seconds: float) -> bool:
        """Return whether OSDs are in service, waiting for them up to so long.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        new = tuple(osds)
        return self._machine.wait_until(lambda: all(map(self.is_up, new)), seconds)

    def _drop(self, osd: Osd, *, keep_number: bool) -> None:
        """Take an OSD out of the cluster, or only destroy it; a number that another one has now is left alone."""
        entries = self._admin.command("osd dump")["osds"]
        entry = next((entry for entry in entries if entry["osd"] == osd.number), None)
        # A destroyed one has lost its uuid (Ceph: src/mon/OSDMonitor.cc, prepare_command_osd_destroy).
        is_destroyed = osd.phase == "destroyed" and entry and "destroyed" in entry["state"]
        if entry and (entry["uuid"] == osd.uuid or is_destroyed) and not (is_destroyed and keep_number):
            self._admin.command("osd down", ids=[str(osd.number)], definitely_dead=True)
            prefix = "osd destroy-actual" if keep_number else "osd purge-actual"
            self._admin.command(prefix, id=osd.number, yes_i_really_mean_it=True)
        if self._has_folder(osd):
            self._machine.remove(osd.folder)

    def _has_folder(self, osd: Osd) -> bool:
        """Return whether the folder of this number is this OSD's, which has been begun, and not another's."""
        owner = (self._machine.read(f"{osd.folder}/fsid") or "").strip()
        return self._machine.exists(osd.folder) and owner in {"", osd.uuid}

    def _make(self, osd: Osd, device_class: str, number: int | None) -> Osd:
        wanted: dict[str, Any] = {} if number is None else {"id": number}
        data = json.dumps({"crush_device_class": device_class}).encode() if device_class else b""
        answer = self._admin.command("osd new", data, uuid=osd.uuid, **wanted)
        osd = dataclasses.replace(osd, number=int(answer["osdid"]))
        self._records.save(osd)
        folder = osd.folder
        self._machine.remove(folder)
        self._machine.make_folder(folder, mode=0o750, user="ceph", group="ceph")
        kind = cephx.service_type(self._admin)
        made = self._admin.command("auth get-or-create", entity=osd.entity, caps=CAPS, **kind)
        cephx.write(self._machine, osd.keyring, osd.entity, made[0]["key"])
        for link, name in osd.names.items():
            self._machine.change_owner(name, user="ceph", group="ceph")
            self._machine.link(f"{folder}/{link}", name)
        # A program of root's follows a link, so it writes where Ceph's user cannot put one.
        self._machine.make_folder(SCRATCH)
        self._machine.run("ceph", "mon", "getmap", "-o", f"{SCRATCH}/monmap", timeout=20)
        self._machine.run(
            "ceph-osd", "-i", str(osd.number), "--mkfs", "--osd-uuid", osd.uuid, "--osd-data", folder,
            "--monmap", f"{SCRATCH}/monmap", "--setuser", "ceph", "--setgroup", "ceph",
        )  # fmt: skip
        self._machine.remove(SCRATCH)
        return dataclasses.replace(osd, phase="in")

    def _undo(self, osd: Osd, keep: int | None = None) -> None:
        known = self._admin.command("osd dump")["osds"]
        for number in (entry["osd"] for entry in known if entry["uuid"] == osd.uuid):
            self._drop(dataclasses.replace(osd, number=number), keep_number=number == keep)
        # A device that fails in this too says so itself where it is looked at next.
        with contextlib.suppress(disk.DiskError):
            self._clear(osd, zap=True, must=False)
        self._records.forget(osd)

    def _clear(self, osd: Osd, *, zap: bool, must: bool = True) -> None:
        """Remove an OSD's file; erase its devices: those that bear its label now, whatever their names.

        Raises:
            DiskError: One could not be erased; or it was not found, and it `must` be.
        """
        if osd.device.startswith(f"{disk.FILE_FOLDER}/"):
            self._machine.remove(osd.device)
        shared = [link for link in osd.parts.split(",") if link]
        # Nobody else can use them, and the next OSD needs the room.
        for link in shared:
            parts.remove(self._machine, osd.uuid, link)
        if not zap:
            return
        links = [
            link
            for link, name in osd.names.items()
            if link not in shared and not name.startswith(f"{disk.FILE_FOLDER}/")
        ]
        media = self.media(osd)
        for link in links:
            if link in media:
                disk.erase_labelled(self._machine, media[link], osd.label(link))
        missing = [
            osd.names[link]
            for link in links
            # One that is empty was erased before something interrupted this.
            if link not in media and disk.objections(self._machine, self._machine.resolve(osd.names[link]))
        ]
        if must and missing:
            raise disk.DiskError(
                f"osd.{osd.number} is out, but no device that can be read bears its label ({osd.uuid}), so nothing was "
                f"erased; it was on {', '.join(missing)}"
            )
