"""Take the draining of this unit's OSDs back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import drain
from actions import cluster
from openinfra_charm.model.actions import ActionError, Outcome
from openinfra_charm.model.actions import NoParams as Params

if TYPE_CHECKING:
    from charm import CephCharm

__all__ = ["Params", "run"]

JOBS = ("jobs.remove_disk", "jobs.prepare_removal")


def run(charm: CephCharm, _params: Params) -> Outcome:
    """Stop the jobs that drain OSDs of this unit, and give the OSDs the CRUSH weights that they had.

    Raises:
        ActionError: An OSD is just being taken out, or the cluster does not answer.
    """
    here = [osd for osd in map(charm.ceph.osds.get, charm.ceph.osds.uuids()) if osd]
    if late := [osd.number for osd in here if osd.phase == "leaving"]:
        raise ActionError(f"osd.{late[0]} is empty and on its way out: it is too late to take that back")
    with cluster():
        # Before anything changes: it answers.
        charm.ceph.admin.command("osd ls")
        running = [record for record in charm.jobs.unfinished() if record.module in JOBS]
        for record in running:
            charm.jobs.cancel(record, "cancelled by cancel-drain")
        numbers = drain.take_back(charm.ceph.admin, [osd.uuid for osd in here])
    charm.cluster.publish(leaving=None)
    if not running and not numbers:
        return Outcome(summary="nothing was being drained", result=[])
    names = ", ".join(f"osd.{number}" for number in numbers) or "no OSD"
    return Outcome(
        summary=f"{names} has its weight back; stopped: {', '.join(record.id for record in running) or 'no job'}",
        result=[{"osd-id": number} for number in numbers],
    )
