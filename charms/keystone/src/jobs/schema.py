"""Expand or contract the database's schema for another release of Keystone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystone import Keystone
from openinfra_charm.job import JobError
from openinfra_charm.machine import CommandError

if TYPE_CHECKING:
    from openinfra_charm.job import Job


def run(job: Job, step: str, tree: str, number: str) -> str:
    """Do one step with the programs of a tree; what is done already is left as it is.

    Raises:
        JobError: The database refuses, or is not reached.
    """
    del number  # It tells attempts apart.
    try:
        Keystone(job.machine, job.application).change_schema(tree, step)
    except (CommandError, TimeoutError) as error:
        raise JobError(f"the schema cannot be changed ({step}): {error}") from error
    return f"{step} is done with {tree}"
