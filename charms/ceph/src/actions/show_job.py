"""Show jobs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    job_id: str = ""


def run(charm: CephCharm, params: Params) -> Outcome:
    """Tell how one job stands, or all.

    Raises:
        ActionError: There is no such job.
    """
    records = charm.jobs.all()
    if params.job_id:
        records = [record for record in records if record.id == params.job_id]
        if not records:
            known = ", ".join(record.id for record in charm.jobs.all()) or "none"
            raise ActionError(
                f"job-id={params.job_id}: there is no such job on {charm.unit.name}; there are: {known}"
            )
    words = "; ".join(f"{record.id}: {record.state}: {record.progress}" for record in records) or "no jobs"
    return Outcome(summary=words, result=[dataclasses.asdict(record) for record in records])
