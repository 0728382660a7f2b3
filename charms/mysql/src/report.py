"""What a unit says of itself when nothing is missing: its place in the cluster, its jobs, and which clients it cannot serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

from backup import NOT_SAVED
from charset import LEFT
from mysql import why_not_ready
from openinfra_charm.model.status import RetriedStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mysql import Node
    from openinfra_charm.daemon.job import Jobs
    from state import Members
    from transport import Transport


def statuses(
    node: Node | None, members: Members, transport: Transport, problems: Iterable[str]
) -> Iterator[ops.StatusBase]:
    """Yield every reason that the unit's status has, from the cluster as it is now.

    Args:
        node: What this unit's server answers; None where it does not.
        members: The cluster's members.
        transport: The server's certificate.
        problems: What other applications say that cannot be used.
    """
    unit, count = members.unit, len(members.recorded)
    if why := why_not_ready(node):
        yield RetriedStatus(f"{why}; see juju ssh {unit} journalctl -u mariadb")
        return
    yield from map(ops.BlockedStatus, problems)
    if problem := transport.problem:
        yield ops.WaitingStatus(problem)
    if node and node.size < count:
        yield ops.ActiveStatus(f"only {node.size} of {count} members are in the cluster")
    elif count == 2:  # noqa: PLR2004  a majority of two is both
        yield ops.ActiveStatus("two members have quorum only together: juju add-unit")
    clear = "" if transport.certificate.ready else "all traffic is in clear: integrate certificates"
    if (me := members.get(unit)) and me.leaving:
        yield ops.ActiveStatus(
            f"ready for juju remove-unit {unit}; to keep it: juju run {unit} prepare-removal cancel=true"
        )
    if members.writer == unit:
        yield ops.ActiveStatus("clients write here" + (f"; {clear}" if clear else ""))
    elif clear:
        yield ops.ActiveStatus(clear)


def work(jobs: Jobs, restore: str) -> Iterator[ops.StatusBase]:
    """Yield what is under way besides the service, and what of it has failed last.

    Args:
        jobs: The unit's jobs.
        restore: What a restore of the whole cluster waits for; empty where none is under way.
    """
    if restore:
        yield ops.MaintenanceStatus(restore)
    for record in jobs.all()[-1:]:
        if record.state == "failed":
            yield ops.ActiveStatus(f"{record.id} failed: {record.progress}")
        for lack in (NOT_SAVED, LEFT):
            if record.state == "done" and lack in record.progress:
                yield ops.ActiveStatus(f"{record.id}: {record.progress[record.progress.index(lack) :]}")
        if record.ended is None:
            yield ops.ActiveStatus(f"{record.id}: {record.progress or record.state}")
