"""Make a quorum of this machine's monitor alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ceph import Ceph
from openinfra_charm.daemon.job import JobError

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job, hosts: str) -> str:
    """Let this monitor go on without those of machines that are gone (comma-separated names), if it is the only one left.

    Raises:
        JobError: There are other monitors, without which it cannot.
    """
    ceph = Ceph(job.machine, job.application)
    ceph.monitor.go_on_alone(hosts.split(","))
    if not ceph.monitor.in_quorum():
        raise JobError(f"without the monitors of {hosts} too few are left: start the machines of the others")
    return "this machine's monitor is in quorum"
