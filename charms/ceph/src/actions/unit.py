"""This unit: its daemons stopped and started, its removal prepared, and its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import maintenance
from actions import cluster_errors, plan_drain
from openinfra_charm.daemon.show_job import show
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephCharm


def pause(charm: CephCharm, *, force: bool = False) -> Outcome:
    """Stop all Ceph daemons of this machine, also over its restarts, until `resume`.

    Raises:
        ActionError: Clients would have to wait, and `force` is not set.
    """
    if not force and (reason := maintenance.why_not_to_stop(charm.ceph)):
        raise ActionError(f"{reason}; force=true stops the daemons nevertheless")
    return charm.pause.begin()


def resume(charm: CephCharm) -> Outcome:
    """Start all Ceph daemons of this machine after `pause`."""
    return charm.pause.end()


def prepare_removal(charm: CephCharm, *, dry_run: bool = False, force: str = "") -> Outcome:
    """Start the job that drains this unit, and let the leader move its monitor.

    Raises:
        ActionError: The units that remain cannot take the data, placement groups do not serve, or the monitors that
            remain are no quorum.
    """
    if why := charm.quorum.why_not_to_go(for_good=False):
        raise ActionError(why)
    with cluster_errors():
        move = plan_drain(charm.ceph, [osd.number for osd in charm.ceph.osds.all()], force)
    if dry_run:
        return Outcome(summary=f"possible; {move} would move", result={"bytes-to-move": move.moved})
    charm.cluster.publish(leaving=True)
    job = charm.jobs.start("jobs.prepare_removal")
    text = f"{job.id} started; {move} to move; see show-job, then: juju remove-unit {charm.unit.name}"
    return Outcome(summary=text, result={"job-id": job.id})


def show_job(charm: CephCharm, *, job_id: str = "") -> Outcome:
    """Show how one job of this unit stands, or all."""
    return show(charm.jobs, job_id)
