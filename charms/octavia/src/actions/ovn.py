"""What of Octavia's load balancers OVN's databases lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jobs
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import OctaviaCharm

WAIT_SECONDS = 40
"""How long the action waits for its job, which takes longer where there are many load balancers."""


def sync_ovn(charm: OctaviaCharm) -> Outcome:
    """Write all load balancers into OVN's database again, what is right there stays.

    Raises:
        ActionError: Octavia does not serve here, or it could not be done.
    """
    service = charm.service
    if not service.workload.version() or service.workload.problem():
        raise ActionError("Octavia does not serve here; see its status")
    record = service.jobs.start(jobs.SYNC, asked=str(service.machine.now()))
    service.jobs.wait(record.id, WAIT_SECONDS)
    stands = service.jobs.find(record.id) or record
    if stands.state == "failed":
        raise ActionError(stands.progress)
    if stands.ended is None:
        words = f"{record.id} goes on: juju run {charm.unit.name} show-job job-id={record.id}"
        return Outcome(summary=words, result={"job-id": record.id})
    return Outcome(summary=stands.progress, result={"job-id": record.id})
