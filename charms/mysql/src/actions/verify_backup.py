"""Check a backup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import find, where_backups_are
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import MySqlCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    backup: str


def run(charm: MySqlCharm, params: Params) -> Outcome:
    """Start the job.

    Raises:
        ActionError: There is no such backup.
    """
    name = find(charm, params.backup).id
    record = charm.jobs.start("jobs.verify_backup", name=name, **where_backups_are(charm))
    return Outcome(
        summary=f"{record.id} starts a server on {name}; see show-job", result={"job-id": record.id}
    )
