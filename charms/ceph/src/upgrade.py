"""Newer versions of Ceph: packages first, on all machines; then its daemons are restarted (`restarts`), and the upgrade finished."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import ops

import health
from openinfra_charm.daemon.job import FIRST_PAUSE
from openinfra_charm.model.status import RetriedStatus
from releases import RELEASES, major
from versions import Running

if TYPE_CHECKING:
    from ceph import Ceph
    from openinfra_charm.daemon.job import Jobs
    from source import Source

JOB = "jobs.upgrade_packages"
FINISHED = "OSD_UPGRADE_FINISHED"
"""Ceph's health check for: all OSDs that are up run a later release than the cluster requires of them."""


class Upgrade:
    """A unit's part in an upgrade of its cluster."""

    def __init__(self, unit: ops.Unit, *, ceph: Ceph, jobs: Jobs) -> None:
        """Take this unit, Ceph on its machine, and the machine's jobs."""
        self._unit = unit
        self._ceph = ceph
        self._jobs = jobs

    def await_packages(self, source: Source) -> ops.StatusBase | None:
        """Return what is to be waited for while packages are being replaced, which hooks and actions need.

        What was interrupted, or could not come to its end, is tried again, with the source that is set now.
        """
        running = [record for record in self._jobs.unfinished() if record.module == JOB]
        if running:
            self._jobs.resume()
            return ops.MaintenanceStatus(f"{running[0].id}: {running[0].progress or 'begins'}")
        return None if self._ceph.packages.required is None else self._install(source)

    def bring_packages(self, source: Source) -> ops.StatusBase | None:
        """Have a job take the packages from the source that the operator has set; return what is to be waited for.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        if source == self._ceph.packages.source:
            return None
        if why := self._why_not_to_begin():
            return RetriedStatus(f"to upgrade Ceph: {why}")
        return self._install(source)

    def _install(self, source: Source) -> ops.StatusBase:
        same = [one for one in self._jobs.all() if (one.module, one.arguments) == (JOB, asdict(source))]
        failed = same[-1] if same and same[-1].state == "failed" else None
        # Its end has brought a hook at once.
        if not failed or self._ceph.machine.now() >= (failed.ended or 0) + FIRST_PAUSE:
            self._jobs.start(JOB, **asdict(source))
        if failed:
            # It fails of the same in a moment, most likely.
            return ops.BlockedStatus(f"no upgrade of Ceph: {failed.progress}")
        return ops.MaintenanceStatus(f"to upgrade Ceph from {source.words}: asking for its versions")

    def _why_not_to_begin(self) -> str | None:
        if why := health.why_not_to_upgrade(self._ceph.admin):
            return why
        required = self._ceph.admin.command("osd dump")["require_osd_release"]
        versions = [daemon.version for daemon in Running.ask(self._ceph.admin).of("osd")]
        oldest = min(map(major, versions), default=0)
        if oldest in RELEASES and required != RELEASES[oldest].name:
            return f"all OSDs run {RELEASES[oldest].name}, and the cluster requires {required} of them: see ceph/leader"
        return None

    def finish(self) -> ops.StatusBase | None:
        """As the leader, have the cluster require of its OSDs what all of them run; return what is to be waited for.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        if not self._unit.is_leader():
            return None
        if FINISHED not in health.checks(self._ceph.admin):
            return None
        running = Running.ask(self._ceph.admin).of("osd")
        least = min(major(daemon.version) for daemon in running)
        newest = max(major(daemon.version) for daemon in running)
        if old := [daemon for daemon in running if major(daemon.version) == least < newest]:
            return ops.WaitingStatus(
                f"to finish the upgrade: {old[0]} on {old[0].host} is down, and ran Ceph {old[0].version} last: start it, or "
                "remove it"
            )
        self._ceph.admin.command("osd require-osd-release", release=RELEASES[least].name)
        return None
