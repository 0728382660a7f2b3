"""Work that may take longer than a hook: a function each, which can begin again at any point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import backup

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def create_backup(job: Job, folder: str, retention: str) -> str:
    """Make a backup, and delete those that are too many then.

    Raises:
        JobError: It could not be made.
        NotNowError: The database does not answer.
    """
    return f"backup {backup.create(job.machine, folder, int(retention))}"
