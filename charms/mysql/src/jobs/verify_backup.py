"""Check a backup by starting a server on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backup import Backups

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job, name: str, folder: str, place: str) -> str:
    """Check a backup.

    Raises:
        JobError: It is no good.
    """
    return Backups(job, folder, place).verify(name)
