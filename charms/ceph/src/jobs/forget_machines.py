"""Clean up after machines that are gone for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import drain
from ceph import Ceph

if TYPE_CHECKING:
    from openinfra_charm.job import Job


def run(job: Job, hosts: str) -> str:
    """Take machines (comma-separated host names) out of the cluster, with their data made anew elsewhere first."""
    ceph = Ceph(job.machine, job.application)
    gone = hosts.split(",")
    ceph.monitor.outlive(gone)
    for host in gone:
        drain.forget_machine(ceph.machine, ceph.admin, host, job.report)
    return f"{hosts}: out of the cluster"
