"""The action `show-job` of every charm that has jobs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Jobs


def show(jobs: Jobs, job_id: str) -> Outcome:
    """Show how one job stands, or all where none is named.

    Raises:
        ActionError: There is no such job.
    """
    records = jobs.all()
    chosen = [record for record in records if job_id in {"", record.id}]
    if job_id and not chosen:
        known = ", ".join(record.id for record in records) or "none"
        raise ActionError(f"job-id={job_id}: there is no such job on {jobs.unit}; there are: {known}")
    words = "; ".join(f"{record.id}: {record.state}: {record.progress}" for record in chosen)
    return Outcome(summary=words or "no jobs", result=[dataclasses.asdict(record) for record in chosen])
