"""Make data of a backup, beside those of the server that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backup import Backups
from mysql import PREPARED

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job, name: str, number: str, folder: str, place: str) -> str:
    """Prepare the data of the restore `number`; nothing else changes.

    Raises:
        JobError: The backup cannot be used.
    """
    Backups(job, folder, place).prepare(name, f"{PREPARED}{number}")
    return f"{name} is ready to take the place of the data"
