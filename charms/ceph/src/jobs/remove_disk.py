"""Drain OSDs of this machine and take them out of the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import removal
from ceph import Ceph
from jobs import reported
from openinfra_charm.daemon.job import JobError

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job, osds: str, names: str, zap: str) -> str:
    """Take OSDs out, and erase their devices if `zap` is `yes`.

    Args:
        job: Where, and how far.
        osds: Their uuids, comma-separated: numbers are given again.
        names: What they are called, for people.
        zap: Whether to erase their devices.

    Raises:
        JobError: A device could not be erased, or the cluster refuses it.
    """
    ceph = Ceph(job.machine, job.application)
    with reported():
        left = removal.remove(ceph, osds.split(","), job.report, zap=zap == "yes")
    if left:
        raise JobError("; ".join(left))
    return f"OSDs {names} are out of the cluster"
