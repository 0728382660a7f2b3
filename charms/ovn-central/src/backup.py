"""Backups of the northbound database: all that OVN itself knows of what a cloud wants; northd makes the rest of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from openinfra_charm.daemon.job import JobError, NotNowError
from raft import NORTHBOUND

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

_SUFFIX = ".db"
_PART = ".part"
_LEAST_FREE = 64 << 20
"""Bytes that stay free on the file system of the backups."""
_QUESTION = json.dumps(
    [NORTHBOUND.schema, {"op": "select", "table": "NB_Global", "where": [], "columns": ["_uuid"]}]
)


def create(machine: Machine, folder: str, retention: int) -> str:
    """Make a backup, read it, and delete those that are too many then; return its path.

    Raises:
        NotNowError: The database does not answer.
        JobError: There is no room, or what was written cannot be read.
    """
    machine.make_folder(folder, mode=0o700)
    for name in machine.list_folder(folder):
        if name.endswith(_PART):
            machine.remove(f"{folder}/{name}")
    if machine.free_space(folder) < _LEAST_FREE:
        raise JobError(
            f"{folder} has less than {_LEAST_FREE >> 20} MiB left: make room, or set backup-directory"
        )
    answer = machine.run(
        "ovsdb-client", "-t", "600", "backup", NORTHBOUND.socket, NORTHBOUND.schema, check=False, timeout=900
    )
    if answer.code:
        raise NotNowError(f"the northbound database does not answer: {' '.join(answer.stderr.split())}")
    stamp = datetime.fromtimestamp(machine.now(), UTC).strftime("%Y%m%dT%H%M%SZ")
    path = f"{folder}/northbound-{stamp}{_SUFFIX}"
    machine.write(f"{path}{_PART}", answer.stdout, mode=0o600)
    read = machine.run("ovsdb-tool", "query", f"{path}{_PART}", _QUESTION, check=False)
    machine.remove(f"{path}{_PART}")
    if read.code or '"rows":[{' not in read.stdout.replace(" ", ""):
        raise JobError(f"the backup cannot be read: {' '.join((read.stderr or read.stdout).split())}")
    machine.write(path, answer.stdout, mode=0o600)
    for old in existing(machine, folder)[:-retention]:
        machine.remove(old)
    return path


def existing(machine: Machine, folder: str) -> list[str]:
    """Return the complete backups, the oldest first."""
    names = machine.list_folder(folder)
    return [f"{folder}/{name}" for name in names if name.startswith("northbound-") and name.endswith(_SUFFIX)]
