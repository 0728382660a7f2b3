"""Clean up after a machine that is gone for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import removal
from ceph import Ceph
from jobs import reported

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job, unit: str, host: str) -> str:
    """Take the OSDs of `unit`, whose machine had the name `host`, out of the cluster; their data are made anew first.

    Raises:
        JobError: The cluster refuses it.
    """
    ceph = Ceph(job.machine, job.application)
    with reported():
        removal.forget_osds(ceph.machine, ceph.admin, unit, host, job.report)
    return f"{unit} on {host}: out of the cluster"
