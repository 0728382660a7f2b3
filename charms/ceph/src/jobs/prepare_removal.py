"""Move everything off this machine so that its unit can be removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import drain
from ceph import Ceph
from jobs import told

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job) -> str:
    """Drain and remove all OSDs of this machine.

    Raises:
        JobError: The cluster refuses it.
    """
    ceph = Ceph(job.machine, job.application)
    with told():
        left = drain.leave(ceph, job.report)
        drain.wait_until_clean(ceph, job.report)
    return "; ".join(["no data are left on this machine: its unit can be removed", *left])
