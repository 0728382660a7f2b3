"""Make a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backup import Backups

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job, unit: str, retention: str, folder: str, place: str) -> str:
    """Make a backup, and delete those that are too many then.

    Raises:
        JobError: It could not be made.
    """
    return Backups(job, folder, place).create(unit, int(retention))
