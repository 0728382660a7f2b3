"""A machine in memory with Ceph on it, and a systemd that runs jobs when a test says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs

from admin import UnreachableError
from openinfra_charm.daemon import job
from openinfra_charm.machine import use
from openinfra_charm.testing import MemoryMachine

if TYPE_CHECKING:
    import twin

JOB_SECONDS = 300
"""Longer than any job takes here, where data move at once."""


class CephMachine(MemoryMachine):
    """A machine of the cluster; its disks are what tests plug in."""

    def __init__(
        self, cluster: twin.Cluster, number: int, version: str = "18.2.7+ds-1", name: str | None = None
    ) -> None:
        super().__init__(name or f"machine-{number}")
        self.address = f"10.0.0.{10 + number}"
        self.ceph = programs.CephSoftware(cluster, self, self.address, version)
        self.bring(self.ceph)

    def run_jobs(self) -> list[int]:
        """Run the jobs that systemd has started; return their exit codes."""
        codes = []
        for application, job_id in self.jobs():
            with use(self), self.waiting(JOB_SECONDS):
                try:
                    codes.append(job.main(application, job_id))
                except UnreachableError:
                    # The traceback goes to the journal, and systemd forgets the unit.
                    codes.append(1)
            self.job_ended(application, job_id)
        return codes
