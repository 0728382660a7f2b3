"""The job that builds a tree of `openinfra_charm.openstack.release`; it begins again wherever it was interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_charm.openstack import release as releases

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job


def run(job: Job, folder: str, release: str, bindings: str) -> str:
    """Build the tree of a release that the charm's locks in `folder` describe; it is switched to by the charm.

    Raises:
        ReleaseError: It could not be built.
    """
    names = tuple(filter(None, bindings.split(",")))
    wanted = releases.find(job.machine, Path(folder), release, bindings=names)
    tree = releases.Releases(job.machine, job.application).build(wanted, job.report)
    return f"{tree.name} is built"
