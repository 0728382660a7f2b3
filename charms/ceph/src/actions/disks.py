"""This unit's disks: listed, erased, taken out, replaced."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import disk
import drain
from actions import check_groups, check_unused, cluster_errors, local, osd_numbers, plan_drain
from openinfra_charm.model.actions import ActionError, Outcome, failing_on, size
from openinfra_charm.values import split

if TYPE_CHECKING:
    from charm import CephCharm
    from openinfra_charm.machine import Machine
    from osd_records import Osd

TIB = 1 << 40
"""What a weight of 1 in CRUSH stands for, in bytes."""
DRAINING = ("jobs.remove_disk", "jobs.prepare_removal")


def list_disks(charm: CephCharm) -> Outcome:
    """Show which devices are OSDs, which could become one, and why others could not.

    What is an OSD follows from the labels as they are now. An OSD of which no device is found, or none that can be read,
    is listed without one.
    """
    osds = charm.ceph.osds.all()
    places = {osd.uuid: charm.ceph.osds.media(osd) for osd in osds}
    holders = {path: osd.number for osd in osds for path in places[osd.uuid].values()}
    devices = [_device(charm.machine, listed, holders) for listed in disk.list_devices(charm.machine)]
    usable = sum(not device["not-usable-because"] and device["osd-id"] is None for device in devices)
    summary = f"{len(osds)} OSDs; {usable} of {len(devices)} block devices are empty and could be added"
    lost = [osd.number for osd in osds if "block" not in places[osd.uuid]]
    if lost:
        summary += f"; without a device that can be read: {', '.join(f'osd.{number}' for number in lost)}"
    listed = [_osd(osd, places[osd.uuid]) for osd in osds]
    return Outcome(summary=summary, result={"osds": listed, "devices": devices})


def _osd(osd: Osd, places: dict[str, str]) -> dict[str, Any]:
    return {
        "number": osd.number,
        "uuid": osd.uuid,
        "device": places.get("block", ""),
        "db-device": places.get("block.db", ""),
        "wal-device": places.get("block.wal", ""),
        "known-as": list(osd.names.values()),
    }


def _device(machine: Machine, listed: dict[str, Any], holders: dict[str, int]) -> dict[str, Any]:
    path = listed["path"]
    number = holders.get(path)
    return {
        "path": path,
        "known-as": disk.lasting_name(machine, path),
        "size-bytes": listed["size"],
        "model": (listed["model"] or "").strip(),
        "rotational": listed["rota"],
        "osd-id": number,
        "not-usable-because": [] if number is not None else disk.objections(machine, path),
    }


def zap_disk(charm: CephCharm, *, devices: str, confirm: str) -> Outcome:
    """Erase block devices that no OSD uses, and make sure that nothing is left.

    Raises:
        ActionError: The devices were not confirmed, or one is missing, in use or an OSD (nothing was erased); or
            one could not be erased in full.
    """
    names = split(devices)
    if not names or names != split(confirm):
        raise ActionError(f"all data on {devices} would be lost: say so with confirm={devices}")
    with failing_on(disk.DiskError):
        paths = [disk.find(charm.machine, name) for name in names]
        for name, path in zip(names, paths, strict=True):
            check_unused(charm.ceph, name, path)
            if not charm.machine.open_exclusively(path):
                raise ActionError(f"{name} is in use; stop what holds it first")
        for path in paths:
            disk.erase(charm.machine, path)
    return Outcome(summary=f"erased and verified: {', '.join(names)}")


def remove_disk(
    charm: CephCharm, *, osd_ids: str, zap: bool = False, dry_run: bool = False, force: str = ""
) -> Outcome:
    """Start the job that drains OSDs and takes them out, if those that remain can take the data.

    Raises:
        ActionError: They cannot, placement groups do not serve, or an OSD is not this unit's.
    """
    numbers = osd_numbers(osd_ids)
    osds = local(charm, numbers)
    with cluster_errors():
        move = plan_drain(charm.ceph, numbers, force)
    if dry_run:
        return Outcome(summary=f"possible; {move} would move", result={"bytes-to-move": move.moved})
    job = charm.jobs.start(
        "jobs.remove_disk",
        osds=",".join(osd.uuid for osd in osds),
        names=",".join(map(str, numbers)),
        zap="yes" if zap else "no",
    )
    return Outcome(summary=f"{job.id} started; {move} to move; see show-job", result={"job-id": job.id})


def cancel_drain(charm: CephCharm) -> Outcome:
    """Stop the jobs that drain OSDs of this unit, and give the OSDs the CRUSH weights that they had.

    Raises:
        ActionError: An OSD is just being taken out, or the cluster does not answer.
    """
    here = [osd for osd in map(charm.ceph.osds.get, charm.ceph.osds.uuids()) if osd]
    if late := [osd.number for osd in here if osd.phase == "leaving"]:
        raise ActionError(f"osd.{late[0]} is empty and is being taken out: it is too late to cancel that")
    with cluster_errors():
        # Before anything changes: it answers.
        charm.ceph.admin.command("osd ls")
        running = [record for record in charm.jobs.unfinished() if record.module in DRAINING]
        for record in running:
            charm.jobs.cancel(record, "cancelled by cancel-drain")
        numbers = drain.cancel(charm.ceph.admin, [osd.uuid for osd in here])
    charm.cluster.publish(leaving=None)
    if not running and not numbers:
        return Outcome(summary="nothing was being drained", result=[])
    names = ", ".join(f"osd.{number}" for number in numbers) or "no OSD"
    return Outcome(
        summary=f"{names} has its weight back; stopped: {', '.join(record.id for record in running) or 'no job'}",
        result=[{"osd-id": number} for number in numbers],
    )


def replace_disk(charm: CephCharm, *, osd_id: str, device: str, force: str = "") -> Outcome:
    """Start the job that puts another device in an OSD's place, if the OSD is this unit's and the device is empty.

    Raises:
        ActionError: It is not, or placement groups do not serve.
    """
    numbers = osd_numbers(osd_id)
    if len(numbers) > 1:
        raise ActionError(f"osd-id={osd_id}: expected one OSD, such as 3")
    (old,) = local(charm, numbers)
    if old.db_device or old.wal_device:
        elsewhere = ", ".join(filter(None, (old.db_device, old.wal_device)))
        raise ActionError(
            f"osd.{old.number} has its database or log on {elsewhere}: use remove-disk, then add-disk with db-devices"
        )
    name, room = _replacement(charm.machine, device)
    with cluster_errors():
        check_groups(charm.ceph, force)
        nodes = charm.ceph.admin.command("osd tree")["nodes"]
    weight = next((node["crush_weight"] for node in nodes if node["id"] == old.number), 0)
    job = charm.jobs.start(
        "jobs.replace_disk",
        old=old.uuid,
        new=str(uuid.uuid4()),
        device=name,
        # One that was being drained weighs nothing any more.
        weight=str(weight or room / TIB),
    )
    return Outcome(summary=f"{job.id} started; see show-job", result={"job-id": job.id})


def _replacement(machine: Machine, name: str) -> tuple[str, int]:
    """Return the lasting name of a device that could become an OSD, and its size in bytes."""
    if name.startswith("file:"):
        return name, size("device", name.removeprefix("file:"))
    with failing_on(disk.DiskError, words="{}; see list-disks, zap-disk"):
        path = disk.find(machine, name)
        disk.check_empty(machine, path)
    return disk.lasting_name(machine, path), machine.size(path)
