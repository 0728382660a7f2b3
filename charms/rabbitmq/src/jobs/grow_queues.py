"""Have quorum queues get members on all nodes, for versions in which they do not by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import RefusedError, UnreachableError
from openinfra_charm.daemon.job import NotNowError
from rabbitmq import RabbitMq

if TYPE_CHECKING:
    from openinfra_charm.daemon.job import Job

SECONDS = 1800


def run(job: Job, *, unit: str, nodes: str) -> str:
    """Grow them, one node after another.

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
