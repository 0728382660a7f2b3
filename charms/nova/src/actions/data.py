"""Actions on what the databases hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import jobs
from openinfra_charm.model.actions import Outcome, require_leader

if TYPE_CHECKING:
    from charm import NovaCharm


def archive_data(
    charm: NovaCharm, *, older_than_days: int = 30, purge: bool = False, dry_run: bool = False
) -> Outcome:
    """Begin to move rows of what was deleted out of Nova's tables.

    Raises:
        ActionError: This is not the leader.
    """
    require_leader(charm, f"archive-data older-than-days={older_than_days} purge={str(purge).lower()}")
    since = datetime.fromtimestamp(charm.service.machine.now(), UTC) - timedelta(days=older_than_days)
    before = f"{since:%Y-%m-%d %H:%M:%S}"
    what = "deleted for good" if purge else "archived"
    if dry_run:
        number = charm.nova.count_deleted(before)
        return Outcome(
            summary=f"rows of {number} servers, deleted before {before}, would be {what}", result=number
        )
    record = charm.service.jobs.start(jobs.ARCHIVE, before=before, purge="true" if purge else "")
    return Outcome(
        summary=f"what was deleted before {before} is being {what}: show-job job-id={record.id}",
        result=record.id,
    )
