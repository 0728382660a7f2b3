"""Put another device in an OSD's place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import drain
from ceph import Ceph
from disk import DiskError
from openinfra_charm.job import JobError
from osd import is_ok_to_stop

if TYPE_CHECKING:
    from openinfra_charm.job import Job


def run(job: Job, osd_id: str, device: str, weight: str) -> str:
    """Give the OSD's number, its place in CRUSH and its weight to a new OSD on `device`.

    An OSD that runs is drained first. One whose disk has died cannot be: it is replaced as soon as all data are
    available without it, and the cluster makes the missing copies on the new device.

    Raises:
        JobError: The device cannot be used.
    """
    ceph = Ceph(job.machine, job.application)
    number = int(osd_id)
    ceph.osds.clean_up(keep=number)
    old = ceph.osds.find(number)
    try:
        if old and old.device != device and ceph.machine.service_states(old.unit)[old.unit] == "active":
            drain.remove(ceph, [number], job.report, zap=False, keep_number=True)
        elif old and old.device != device:
            while not is_ok_to_stop(ceph.admin, [number]):
                job.report(f"waiting until all data are available without osd.{number}")
                job.machine.sleep(drain.PAUSE)
            ceph.osds.remove(old, ceph.services, zap=False, keep_number=True)
        if old is None or old.device != device:
            job.report(f"making osd.{number} on {device}")
            ceph.osds.create(device, number=number)
    except DiskError as error:
        raise JobError(str(error)) from error
    ceph.apply()
    ceph.admin.command("osd in", ids=[str(number)])
    ceph.admin.command("osd crush reweight", name=f"osd.{number}", weight=float(weight))
    return f"osd.{number} is on {device} now"
