"""Work on backups and tables that takes longer than a hook may: a function each, which can begin again at any point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import charset
from backup import Backups
from mysql import PREPARED, MySql
from openinfra_charm.daemon.job import JobError
from sql import StatementError, UnreachableError

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def create_backup(job: Job, unit: str, retention: str, folder: str, place: str) -> str:
    """Make a backup, and delete those that are too many then.

    Raises:
        JobError: It could not be made.
    """
    return Backups(job, folder, place).create(unit, int(retention))


def verify_backup(job: Job, name: str, folder: str, place: str) -> str:
    """Check a backup by starting a server on it.

    Raises:
        JobError: It is no good.
    """
    return Backups(job, folder, place).verify(name)


def restore_database(job: Job, name: str, database: str, folder: str, place: str) -> str:
    """Put one database back from its dump; others are not touched.

    Raises:
        JobError: It could not be loaded.
    """
    return Backups(job, folder, place).restore_database(name, database)


def prepare_restore(job: Job, name: str, number: str, folder: str, place: str) -> str:
    """Make the data of the restore `number`, beside those of the server that runs; nothing else changes.

    Raises:
        JobError: The backup cannot be used.
    """
    Backups(job, folder, place).prepare(name, f"{PREPARED}{number}")
    return f"{name} is ready to take the place of the data"


def convert_charset(job: Job, digest: str) -> str:
    """Have databases and tables hold all of Unicode; `digest` stands for the tables for which it was started.

    Raises:
        JobError: The database does not answer, or refuses. It is tried again, and puts back first what it has dropped.
    """
    del digest
    notes = f"/var/lib/openinfra/{job.application}/dropped-keys.json"
    try:
        return charset.convert(MySql(job.machine, job.application).sql, job.machine, notes, job.report)
    except (charset.LostKeyError, StatementError, UnreachableError) as error:
        raise JobError(str(error)) from error
