"""Put one database back from its dump."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backup import Backups

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job, name: str, database: str, folder: str, place: str) -> str:
    """Put the database back; others are not touched.

    Raises:
        JobError: It could not be loaded.
    """
    return Backups(job, folder, place).restore_database(name, database)
