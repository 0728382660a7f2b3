"""Drain OSDs and take them out of the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import crush
from actions import check_groups, cluster, local, osd_numbers
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    osd_ids: str
    zap: bool = False
    dry_run: bool = False
    force: str = ""


def run(charm: CephCharm, params: Params) -> Outcome:
    """Start the job, if the OSDs that remain can take the data.

    Raises:
        ActionError: They cannot, placement groups do not serve, or an OSD is not this unit's.
    """
    numbers = osd_numbers(params.osd_ids)
    osds = local(charm, numbers)
    with cluster():
        check_groups(charm.ceph, params.force)
        try:
            move = crush.check_spare(charm.ceph.admin, numbers)
        except crush.CrushError as error:
            raise ActionError(str(error)) from error
    if params.dry_run:
        return Outcome(summary=f"possible; {move} would move", result={"bytes-to-move": move.moved})
    job = charm.jobs.start(
        "jobs.remove_disk",
        osds=",".join(osd.uuid for osd in osds),
        names=",".join(map(str, numbers)),
        zap="yes" if params.zap else "no",
    )
    return Outcome(summary=f"{job.id} started; {move} to move; see show-job", result={"job-id": job.id})
