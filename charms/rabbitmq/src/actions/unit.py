"""This unit: stopped for a while, or about to be removed; and its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import RefusedError, UnreachableError
from openinfra_charm.daemon.show_job import show
from openinfra_charm.model.actions import ActionError, Outcome, failing_on
from rabbitmq import DRAINED
from state import unit_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from charm import RabbitMqCharm

JOB = "jobs.prepare_removal"


def pause(charm: RabbitMqCharm) -> Outcome:
    """Stop the broker until it is resumed; clients are told of the others.

    Raises:
        ActionError: Queues would stand still without it, or another unit owns the machine's broker.
    """
    charm.owned.require("pause")
    if not charm.pause and (why := charm.rabbitmq.why_not_to_stop()):
        raise ActionError(why)
    return charm.pause.begin()


def resume(charm: RabbitMqCharm) -> Outcome:
    """Start the broker again.

    Raises:
        ActionError: Another unit owns the machine's broker.
    """
    charm.owned.require("resume")
    return charm.pause.end()


def prepare_removal(charm: RabbitMqCharm, *, dry_run: bool = False, cancel: bool = False) -> Outcome:
    """Have clients and queues move to the other units, as a job; or with `cancel`, have them come back.

    Raises:
        ActionError: No other unit can take them.
    """
    unit, control = charm.unit.name, charm.rabbitmq.control
    if cancel:
        return _keep(charm, dry_run=dry_run)
    others = [one for one in charm.cluster.staying if one != unit and one in charm.members.recorded]
    if not others:
        raise ActionError(f"{unit} is the last unit: all messages go with it")
    with _failing(charm):
        running = set(map(unit_of, control.cluster_status().running))
    if missing := sorted(set(others) - running):
        raise ActionError(
            f"{', '.join(missing)} {'does' if len(missing) == 1 else 'do'} not run: the others have to be complete first"
        )
    with _failing(charm):
        critical = control.why_critical()
    words = "clients go to the other units and queues get members there" + (
        f"; now: {critical}" if critical else ""
    )
    if dry_run:
        return Outcome(summary=f"possible: {words}", result={"others": others, "critical": bool(critical)})
    record = charm.jobs.start(JOB, unit=unit, others=",".join(others))
    charm.cluster.publish(leaving=True)
    return Outcome(summary=f"{record.id}: {words}; see show-job", result={"job-id": record.id})


def _keep(charm: RabbitMqCharm, *, dry_run: bool) -> Outcome:
    if not dry_run:
        for record in charm.jobs.unfinished():
            if record.module == JOB:
                charm.jobs.cancel(record, "cancelled")
        with _failing(charm):
            charm.rabbitmq.control.revive()
        charm.rabbitmq.note(DRAINED, None)
        charm.cluster.publish(leaving=None)
    return Outcome(summary=f"{charm.unit.name} stays")


def show_job(charm: RabbitMqCharm, *, job_id: str = "") -> Outcome:
    """Show how one job of this unit stands, or all."""
    return show(charm.jobs, job_id)


def _failing(charm: RabbitMqCharm) -> AbstractContextManager[None]:
    """Turn it into the action's failure where the broker does not answer, or refuses."""
    return failing_on(RefusedError, UnreachableError, words=f"{{}}; see the status of {charm.unit.name}")
