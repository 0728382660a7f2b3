"""Have databases and tables hold all of Unicode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import charset
from mysql import MySql
from openinfra_charm.daemon.job import JobError
from sql import StatementError, UnreachableError

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job, digest: str) -> str:
    """Convert what there is; `digest` stands for the tables for which it was started.

    Raises:
        JobError: The database does not answer, or refuses. It is tried again, and puts back first what it has dropped.
    """
    del digest
    notes = f"/var/lib/openinfra/{job.application}/dropped-keys.json"
    try:
        return charset.convert(MySql(job.machine, job.application).sql, job.machine, notes, job.report)
    except (charset.LostKeyError, StatementError, UnreachableError) as error:
        raise JobError(str(error)) from error
