"""The job that upgrades all packages of a machine that has the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import updates
from openinfra_charm.daemon.job import JobError
from openinfra_charm.machine import APT_ENVIRONMENT, CommandError

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job

_OPTIONS = ("--quiet", "--yes", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confold")
_HOUR = 3600


def upgrade(job: Job) -> str:
    """Upgrade all packages, then restart the services that ran older code; return what was done.

    Raises:
        JobError: apt-get, dpkg or a restart failed.
    """
    try:
        return _upgrade(job)
    except (CommandError, TimeoutError) as error:
        words = " ".join(str(error).split())
        raise JobError(f"{words} (on the machine, try apt-get --fix-broken install)") from error


def _upgrade(job: Job) -> str:
    job.report("fetching the package lists")
    if job.machine.run("dpkg", "--audit").stdout:
        # A power loss left packages half installed; until they are not, apt-get does nothing else.
        _run(job, "dpkg", "--force-confold", "--configure", "-a")
    _run(job, "apt-get", *_OPTIONS, "update")
    found = updates.pending(job.machine, {})
    job.report(f"upgrading {len(found)} packages")
    _run(job, "apt-get", *_OPTIONS, *updates.UPGRADE)
    job.report(f"{len(found)} packages upgraded; restarting services that run older code")
    # needrestart knows which services must never be restarted under a running system: those wait for a reboot.
    _run(job, "needrestart", "-r", "a")
    return f"{len(found)} packages upgraded"


def _run(job: Job, *argv: str) -> None:
    job.machine.run(*argv, env=APT_ENVIRONMENT, timeout=_HOUR)
