"""Where storage is on a machine: filesystems are directories below its /var/lib/juju, and there is nothing else."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from openinfra_model.machines.containers import JUJU_DIRECTORY
from openinfra_model.machines.folder import Folder

if TYPE_CHECKING:
    from pathlib import Path

    from openinfra_model.core.entities import Storage


def make(machine: Path, item: Storage) -> str:
    """Make the directory of a storage instance below its machine's; return why not, empty when it is there."""
    problem = _unsupported(item)
    if not problem:
        try:
            with Folder.opened(machine, *_parts(item)):
                pass
        except OSError as error:
            problem = f"cannot make its directory: {error.strerror}"
    return problem


def remove(machine: Path, item: Storage) -> None:
    """Remove the directory of a storage instance with all that is in it, if one was made.

    Raises:
        OSError: a part of it cannot be removed.
    """
    if not _unsupported(item):
        *folders, name = _parts(item)
        with Folder.opened(machine, *folders) as folder:
            folder.remove(name)


def _parts(item: Storage) -> tuple[str, ...]:
    return PurePosixPath(item.location).relative_to(JUJU_DIRECTORY).parts


def _unsupported(item: Storage) -> str:
    """Say why machines that are containers cannot have it; empty when they can."""
    if item.kind == "block":
        return "LXD machines have no block storage: use a filesystem, or give the charm a device by action"
    if not PurePosixPath(item.location).is_relative_to(JUJU_DIRECTORY) or ".." in item.location:
        # Juju mounts it there; here a machine's storage is what it sees below its /var/lib/juju.
        return (
            f"the charm's metadata has it at {item.location}, but storage is made below {JUJU_DIRECTORY} only: "
            "remove `location` there"
        )
    return ""
