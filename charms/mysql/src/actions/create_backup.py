"""Make a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError, Outcome
from openinfra_charm.model.actions import NoParams as Params

if TYPE_CHECKING:
    from charm import MySqlCharm

__all__ = ["Params", "run"]


def run(charm: MySqlCharm, _params: Params) -> Outcome:
    """Start the job.

    Raises:
        ActionError: This unit's server does not serve, or the bucket cannot be used.
    """
    if not charm.mysql.is_ready():
        raise ActionError("the database does not serve here; see cluster-status")
    if why := charm.schedule.objection:
        raise ActionError(why)
    record = charm.jobs.start(
        "jobs.create_backup",
        unit=charm.unit.name,
        retention=str(charm.settings.backup_retention),
        **charm.schedule.arguments(charm.settings),
    )
    return Outcome(summary=f"{record.id} makes a backup; see show-job", result={"job-id": record.id})
