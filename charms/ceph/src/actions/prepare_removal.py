"""Move everything off this unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import crush
from actions import check_groups, cluster
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    dry_run: bool = False
    force: str = ""


def run(charm: CephCharm, params: Params) -> Outcome:
    """Start the job that drains this unit, and let the leader move its monitor.

    Raises:
        ActionError: The units that remain cannot take the data, placement groups do not serve, or the monitors that
            remain are no quorum.
    """
    if why := charm.quorum.why_not_to_go(for_good=False):
        raise ActionError(why)
    with cluster():
        check_groups(charm.ceph, params.force)
        try:
            move = crush.check_spare(charm.ceph.admin, [osd.number for osd in charm.ceph.osds.all()])
        except crush.CrushError as error:
            raise ActionError(str(error)) from error
    if params.dry_run:
        return Outcome(summary=f"possible; {move} would move", result={"bytes-to-move": move.moved})
    charm.cluster.publish(leaving=True)
    job = charm.jobs.start("jobs.prepare_removal")
    text = f"{job.id} started; {move} to move; see show-job, then: juju remove-unit {charm.unit.name}"
    return Outcome(summary=text, result={"job-id": job.id})
