"""Make a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actions import require_ready, where_backups_are
from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import MySqlCharm

__all__ = ["Params", "run"]


def run(charm: MySqlCharm, _params: Params) -> Outcome:
    """Start the job.

    Raises:
        ActionError: This unit's server does not serve, or the bucket cannot be used.
    """
    require_ready(charm)
    record = charm.jobs.start(
        "jobs.create_backup",
        unit=charm.unit.name,
        retention=str(charm.settings.backup_retention),
        **where_backups_are(charm),
    )
    return Outcome(summary=f"{record.id} makes a backup; see show-job", result={"job-id": record.id})
