"""Move everything off this machine so that its unit can be removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import drain
from ceph import Ceph
from disk import DiskError
from openinfra_charm.job import JobError

if TYPE_CHECKING:
    from openinfra_charm.job import Job


def run(job: Job) -> str:
    """Drain and remove all OSDs of this machine.

    Raises:
        JobError: A device could not be erased.
    """
    ceph = Ceph(job.machine, job.application)
    try:
        drain.leave(ceph, job.report)
        drain.wait_until_clean(ceph, job.report)
    except DiskError as error:
        raise JobError(str(error)) from error
    return "no data are left on this machine: its unit can be removed"
