"""Show jobs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import HostCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Which job; empty: all."""

    job: str


def run(charm: HostCharm, params: Params) -> Outcome:
    """Show one job, or all of this unit."""
    records = charm.jobs.all()
    chosen = [record for record in records if params.job in {"", record.id}]
    if params.job and not chosen:
        known = ", ".join(record.id for record in records) or "none"
        raise ActionError(f"{charm.unit.name} has no job {params.job!r}; known: {known}")
    summary = "; ".join(f"{record.id}: {record.state}, {record.progress}" for record in chosen)
    return Outcome(summary=summary or "no jobs", result=[dataclasses.asdict(record) for record in chosen])
