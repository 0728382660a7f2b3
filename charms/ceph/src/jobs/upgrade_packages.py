"""Have Ceph's packages come from another source; no daemon is restarted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive import PackagesError
from ceph import Ceph
from jobs import reported
from openinfra_charm.daemon.job import JobError
from releases import major_of
from source import Source

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job, line: str, key: str, series: str) -> str:
    """Upgrade the packages to what a source (`source.Source`) has.

    Raises:
        JobError: They cannot come from there.
    """
    ceph = Ceph(job.machine, job.application)
    required = ceph.packages.required
    if required is None:
        with reported():
            required = major_of(ceph.admin.command("osd dump")["require_osd_release"])
    try:
        version = ceph.packages.upgrade(Source(line=line, key=key, series=series), required, job.report)
    except PackagesError as error:
        raise JobError(str(error)) from error
    return f"Ceph {version} is installed; its daemons are restarted in turn"
