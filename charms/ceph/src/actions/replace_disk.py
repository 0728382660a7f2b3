"""Put another device in an OSD's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import disk
from actions import cluster, local
from openinfra_charm.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    osd_id: int
    device: str


def run(charm: CephCharm, params: Params) -> Outcome:
    """Start the job, if the OSD is this unit's and the new device is empty.

    Raises:
        ActionError: It is not.
    """
    (old,) = local(charm, [params.osd_id])
    device = params.device
    try:
        if not device.startswith("file:"):
            device = disk.find(charm.machine, device)
            if reasons := disk.objections(charm.machine, device):
                raise ActionError(f"{params.device}: not empty: {'; '.join(reasons)}; see zap-disk")
    except disk.DiskError as error:
        raise ActionError(str(error)) from error
    with cluster():
        nodes = charm.ceph.admin.command("osd tree")["nodes"]
    weight = next(node["crush_weight"] for node in nodes if node["id"] == old.number)
    job = charm.jobs.start("jobs.replace_disk", osd_id=str(old.number), device=device, weight=str(weight))
    return Outcome(summary=f"{job.id} started; see show-job", result={"job-id": job.id})
