"""Put another device in an OSD's place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import disk
import drain
import removal
from ceph import Ceph
from jobs import reported
from openinfra_charm.daemon.job import JobError
from safety import is_ok_to_stop

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job
    from osd_records import Osd

UP_SECONDS = 300
"""How long a new OSD may take until it serves."""


def run(job: Job, old: str, new: str, device: str, weight: str) -> str:
    """Give an OSD's number, its place in CRUSH and its weight to a new OSD on `device`.

    An OSD that runs is drained first. One whose disk has died cannot be: it is replaced as soon as all data are
    available without it, and the cluster makes the missing copies on the new device.

    Args:
        job: Where, and how far.
        old: The uuid of the OSD that goes.
        new: The uuid that the new one gets: whoever begins again knows by it how far this was.
        device: The new, empty device.
        weight: What the new OSD weighs in CRUSH.

    Raises:
        JobError: The device cannot be used, the cluster refuses it, or the new OSD does not come up.
    """
    ceph = Ceph(job.machine, job.application)
    with reported():
        osd = ceph.osds.get(new)
        if osd is None or osd.phase == "making":
            osd = _replace(ceph, job, old, new, device)
        ceph.apply()
        ceph.admin.command("osd in", ids=[str(osd.number)])
        job.report(f"osd.{osd.number} is made on {device}, and starts")
        if not ceph.osds.wait_until_up([osd], UP_SECONDS):
            raise JobError(
                f"osd.{osd.number} is made on {device}, but is not up after {UP_SECONDS} s: see journalctl -u {osd.unit}"
            )
        ceph.admin.command("osd crush reweight", name=f"osd.{osd.number}", weight=float(weight))
    return f"osd.{osd.number} is on {device} now"


def _replace(ceph: Ceph, job: Job, old: str, new: str, device: str) -> Osd:
    osd = ceph.osds.get(old)
    if osd is None or osd.phase == "removed":
        raise JobError(f"OSD {old} is not here any more; see list-disks")
    ceph.osds.clean_up(keep=osd.number)
    if not device.startswith("file:"):
        # Before anything is given up for it.
        disk.check_empty(ceph.machine, disk.find(ceph.machine, device))
    if osd.phase != "destroyed":
        _take_out(ceph, job, osd)
    job.report(f"making osd.{osd.number} on {device}")
    path = device if device.startswith("file:") else disk.find(ceph.machine, device)
    return ceph.osds.create(path, number=osd.number, identity=new)


def _take_out(ceph: Ceph, job: Job, osd: Osd) -> None:
    if ceph.machine.service_states(osd.unit)[osd.unit] == "active":
        removal.remove(ceph, [osd.uuid], job.report, zap=False, keep_number=True)
        return
    while not is_ok_to_stop(ceph.admin, [osd.number]):
        job.report(f"waiting until all data are available without osd.{osd.number}")
        job.machine.sleep(drain.PAUSE)
    ceph.osds.remove(osd, ceph.services, zap=False, keep_number=True)
