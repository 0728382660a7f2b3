"""Move clients and queues away from this unit, so that its removal interrupts nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import RefusedError, UnreachableError
from openinfra_charm.daemon.job import JobError, NotNowError
from rabbitmq import DRAINED, RabbitMq
from state import node_name

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job

SECONDS = 1800


def run(job: Job, *, unit: str, others: str) -> str:
    """Have each queue's members on other units, give them the lead, and send clients there.

    Raises:
        JobError: Queues would stand still without this unit.
        NotNowError: The broker does not answer.
    """
    rabbitmq = RabbitMq(job.machine, job.application, unit)
    control = rabbitmq.control
    try:
        for other in others.split(","):
            job.report(f"adding members of queues on {other}")
            control.grow(node_name(other), seconds=SECONDS)
        if why := control.why_critical():
            raise JobError(f"{why}: nothing has changed but for members of queues on other units")
        job.report("sending clients to other units")
        rabbitmq.note(DRAINED, "yes")
        control.drain()
        job.report("removing members of queues here")
        control.shrink(node_name(unit), seconds=SECONDS)
    except UnreachableError as error:
        raise NotNowError(str(error)) from error
    except RefusedError as error:
        raise JobError(
            f"RabbitMQ refuses: {error}; keep the unit with prepare-removal cancel=true"
        ) from error
    return f"clients and queues are on other units: juju remove-unit {unit}"
