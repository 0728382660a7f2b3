"""What a unit says of itself when nothing is missing: its place in the cluster, alarms, and which clients it cannot serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

from openinfra_charm.model.status import RetriedStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from openinfra_charm.daemon.job import Jobs
    from rabbitmq import Node
    from state import Members

REMEDIES = {
    "memory": "consumers are too slow, or memory-limit is too low",
    "disk space": "make room on its machine, or lower disk-free-limit",
}


def statuses(
    node: Node | None, members: Members, *, certificate: str, problems: Iterable[str], notes: Iterable[str]
) -> Iterator[ops.StatusBase]:
    """Yield every reason that the unit's status has, from the cluster as it is now.

    Args:
        node: What this unit's broker says of itself; None where it does not serve.
        members: The cluster's members.
        certificate: What is in the way of a current certificate.
        problems: What an operator has to put right.
        notes: What an operator may want to know.
    """
    unit, recorded = members.unit, set(members.recorded)
    if node is None:
        yield RetriedStatus(f"for RabbitMQ to serve; see juju ssh {unit} journalctl -u rabbitmq-server")
        return
    for alarm in node.alarms:
        yield ops.BlockedStatus(
            f"no unit takes messages: {alarm} on {unit} is past its limit: {REMEDIES[alarm]}"
        )
    yield from map(ops.BlockedStatus, problems)
    if certificate:
        yield ops.WaitingStatus(certificate)
    running = (node.connected & recorded) | {unit}
    if missing := sorted(recorded - running):
        yield ops.ActiveStatus(
            f"only {len(running)} of {len(recorded)} members run: not {', '.join(missing)}"
        )
    elif len(recorded) == 2:  # noqa: PLR2004
        yield ops.ActiveStatus("two members have quorum only together: juju add-unit")
    if (me := members.get(unit)) and me.leaving:
        yield ops.ActiveStatus(f"on its way out; to keep it: juju run {unit} prepare-removal cancel=true")
    yield from map(ops.ActiveStatus, notes)


def work(jobs: Jobs) -> Iterator[ops.StatusBase]:
    """Yield the unit's last job, while it runs or where it has failed."""
    for record in jobs.all()[-1:]:
        if record.state == "failed":
            yield ops.ActiveStatus(f"{record.id} failed: {record.progress}")
        elif record.ended is None:
            yield ops.ActiveStatus(f"{record.id}: {record.progress or record.state}")
