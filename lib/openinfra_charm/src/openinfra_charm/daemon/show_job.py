"""The action `show-job` of every charm that has jobs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    import ops

    from openinfra_charm.daemon.job import Jobs


class WithJobs(Protocol):
    """A charm that has jobs."""

    jobs: Jobs

    @property
    def unit(self) -> ops.Unit:
        """The unit that it runs in."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Which job; empty: all of the unit."""

    job_id: str = ""


def run(charm: WithJobs, params: Params) -> Outcome:
    """Show how one job stands, or all.

    Raises:
        ActionError: There is no such job.
    """
    records = charm.jobs.all()
    chosen = [record for record in records if params.job_id in {"", record.id}]
    if params.job_id and not chosen:
        known = ", ".join(record.id for record in records) or "none"
        raise ActionError(
            f"job-id={params.job_id}: there is no such job on {charm.unit.name}; there are: {known}"
        )
    words = "; ".join(f"{record.id}: {record.state}: {record.progress}" for record in chosen)
    return Outcome(summary=words or "no jobs", result=[dataclasses.asdict(record) for record in chosen])
