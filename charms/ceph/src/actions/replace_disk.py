"""Put another device in an OSD's place."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import disk
from actions import check_groups, cluster, local, osd_numbers
from openinfra_charm.model.actions import ActionError, Outcome
from openinfra_charm.model.actions import size as parse_size

if TYPE_CHECKING:
    from charm import CephCharm

TIB = 1 << 40
"""What a weight of 1 in CRUSH stands for, in bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    osd_id: str
    device: str
    force: str = ""


def run(charm: CephCharm, params: Params) -> Outcome:
    """Start the job, if the OSD is this unit's and the new device is empty.

    Raises:
        ActionError: It is not, or placement groups do not serve.
    """
    numbers = osd_numbers(params.osd_id)
    if len(numbers) > 1:
        raise ActionError(f"osd-id={params.osd_id}: expected one OSD, such as 3")
    (old,) = local(charm, numbers)
    if old.db_device or old.wal_device:
        elsewhere = ", ".join(filter(None, (old.db_device, old.wal_device)))
        raise ActionError(
            f"osd.{old.number} has its database or log on {elsewhere}: use remove-disk, then add-disk with db-devices"
        )
    device, size = _device(charm, params.device)
    with cluster():
        check_groups(charm.ceph, params.force)
        nodes = charm.ceph.admin.command("osd tree")["nodes"]
    weight = next((node["crush_weight"] for node in nodes if node["id"] == old.number), 0)
    job = charm.jobs.start(
        "jobs.replace_disk",
        old=old.uuid,
        new=str(uuid.uuid4()),
        device=device,
        # One that was being drained weighs nothing any more.
        weight=str(weight or size / TIB),
    )
    return Outcome(summary=f"{job.id} started; see show-job", result={"job-id": job.id})


def _device(charm: CephCharm, name: str) -> tuple[str, int]:
    """Return the lasting name of a device that could become an OSD, and its size in bytes."""
    if name.startswith("file:"):
        return name, parse_size("device", name.removeprefix("file:"))
    try:
        path = disk.find(charm.machine, name)
        disk.check_empty(charm.machine, path)
    except disk.DiskError as error:
        raise ActionError(f"{error}; see list-disks, zap-disk") from error
    return disk.lasting_name(charm.machine, path), charm.machine.size(path)
