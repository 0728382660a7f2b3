"""Jobs of an OpenStack service. They begin again wherever they were interrupted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_charm.daemon.job import JobError
from openinfra_charm.machine import CommandError
from openinfra_charm.openstack import oslo
from openinfra_charm.openstack import release as releases
from openinfra_charm.openstack.programs import Programs

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job

BUILD, SCHEMA = f"{__name__}.build_release", f"{__name__}.schema"


def build_release(job: Job, folder: str, release: str, bindings: str, additions: str = "{}") -> str:
    """Build the tree of a release that the charm's locks in `folder` describe; it is switched to by the charm.

    Raises:
        ReleaseError: It could not be built.
    """
    names = tuple(filter(None, bindings.split(",")))
    added = json.loads(additions)
    wanted = releases.find(job.machine, Path(folder), release, bindings=names, additions=added)
    tree = releases.Releases(job.machine, job.application).build(wanted, job.report)
    return f"{tree.name} is built"


def schema(job: Job, *, step: str, tree: str, number: str, commands: str, databases: str) -> str:
    """Expand or contract the database's schema in an upgrade, with the programs of a tree.

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
