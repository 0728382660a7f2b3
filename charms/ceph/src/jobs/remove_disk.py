"""Drain OSDs of this machine and take them out of the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import drain
from ceph import Ceph
from disk import DiskError
from openinfra_charm.job import JobError

if TYPE_CHECKING:
    from openinfra_charm.job import Job


def run(job: Job, osd_ids: str, zap: str) -> str:
    """Take the OSDs named in `osd_ids` (comma-separated) out, and erase their devices if `zap` is `yes`.

    Raises:
        JobError: A device could not be erased.
    """
    ceph = Ceph(job.machine, job.application)
    try:
        drain.remove(ceph, [int(number) for number in osd_ids.split(",")], job.report, zap=zap == "yes")
    except DiskError as error:
        raise JobError(str(error)) from error
    return f"OSDs {osd_ids} are out of the cluster"
