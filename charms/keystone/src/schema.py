"""The job that changes the database's schema in an upgrade; it begins again wherever it was interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystone import Keystone
from openinfra_charm.daemon.job import JobError
from openinfra_charm.machine import CommandError

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job, step: str, tree: str, number: str) -> str:
    """Expand or contract the schema with the programs of a tree; `number` tells one attempt from another.

    Raises:
        JobError: Keystone's program has failed.
    """
    del number
    job.report(f"{step}: keystone-manage db_sync --{step}")
    try:
        Keystone(job.machine, job.application).change_schema(step, tree)
    except (CommandError, TimeoutError) as error:
        raise JobError(f"the schema could not be changed ({step}): {error}") from error
    return f"{step}: done"
