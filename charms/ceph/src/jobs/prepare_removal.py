"""Move everything off this machine so that its unit can be removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import removal
from ceph import Ceph
from jobs import reported

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job) -> str:
    """Drain and remove all OSDs of this machine.

    Raises:
        JobError: The cluster refuses it.
    """
    ceph = Ceph(job.machine, job.application)
    with reported():
        left = removal.leave(ceph, job.report)
        removal.wait_until_clean(ceph, job.report)
    return "; ".join(["no data are left on this machine: its unit can be removed", *left])
