"""The job that changes the database's schema in an upgrade; it begins again wherever it was interrupted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from openinfra_charm.daemon.job import JobError
from openinfra_charm.machine import CommandError
from openinfra_charm.openstack import oslo
from openinfra_charm.openstack.programs import Programs

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job, *, step: str, tree: str, number: str, commands: str, databases: str) -> str:
    """Expand or contract the schema with the programs of a tree.

    Args:
        job: The job.
        step: `expand` or `contract`.
        tree: The tree.
        number: What tells one attempt from another.
        commands: The commands, JSON.
        databases: The sections of the configuration that lead to the databases, JSON.

    Raises:
        JobError: One of them has failed.
    """
    del number
    programs, env = Programs(job.machine, job.application), oslo.patient(json.loads(databases))
    for program, *arguments in json.loads(commands):
        job.report(f"{step}: {' '.join([program, *arguments])}")
        try:
            programs.run(program, *arguments, tree=tree, env=env)
        except (CommandError, TimeoutError) as error:
            raise JobError(f"the schema could not be changed ({step}): {error}") from error
    return f"{step}: done"
