"""Work on queues that takes longer than a hook may: a function each, which can begin again at any point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import RefusedError, UnreachableError
from openinfra_charm.daemon.job import JobError, NotNowError
from rabbitmq import DRAINED, RabbitMq
from state import node_name

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job

SECONDS = 1800
"""How long a program may take that adds or removes members of queues."""


def grow_queues(job: Job, unit: str, nodes: str) -> str:
    """Have quorum queues get members on these nodes, one after another, for versions in which they do not by themselves.

    Raises:
        NotNowError: The broker does not answer, or a node refuses.
    """
    control = RabbitMq(job.machine, job.application, unit).control
    for node in nodes.split(","):
        job.report(f"adding members of queues on {node}")
        try:
            control.grow(node, seconds=SECONDS)
        except (RefusedError, UnreachableError) as error:
            raise NotNowError(f"members of queues on {node} are not added yet: {error}") from error
    return "all queues have members on all units"


def prepare_removal(job: Job, unit: str, others: str) -> str:
    """Have each queue's members on the units `others`, give them the lead, and send clients there: nobody notices the removal then.

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
