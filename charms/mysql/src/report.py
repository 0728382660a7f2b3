"""What a unit says of itself when nothing is missing: its place in the cluster, and which clients it cannot serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

import clients
import health
import restore
import schedule
from backup import NOT_SAVED
from charset import LEFT
from openinfra_charm.model.status import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from charm import MySqlCharm
    from state import Settings


def statuses(charm: MySqlCharm) -> Iterator[ops.StatusBase]:
    """Yield every reason that the unit's status has, from the machine and the cluster as they are now."""
    try:
        settings = charm.settings
    except ConfigError as error:
        yield ops.BlockedStatus(str(error))
        return
    yield from _work(charm)
    if why := health.why_not_ready(charm.mysql):
        yield ops.WaitingStatus(f"{why}; see juju ssh {charm.unit.name} journalctl -u mariadb")
        return
    for why in _objections(charm, settings) if charm.unit.is_leader() else ():
        yield ops.BlockedStatus(why)
    if problem := charm.transport.problem:
        yield ops.WaitingStatus(problem)
    node, shared = charm.mysql.node(), charm.cluster.shared
    if node and node.size < len(shared["members"]):
        yield ops.ActiveStatus(f"only {node.size} of {len(shared['members'])} members are in the cluster")
    elif len(shared["members"]) == 2:  # noqa: PLR2004  a majority of two is both
        yield ops.ActiveStatus("two members serve only together: add a unit")
    clear = "" if charm.transport.certificate.ready else "all traffic is in clear: integrate certificates"
    if (me := charm.members.get(charm.unit.name)) and me.leaving:
        yield ops.ActiveStatus(
            f"ready for juju remove-unit {me.unit}; or juju run {me.unit} prepare-removal cancel=true"
        )
    if shared.get("writer") == charm.unit.name:
        yield ops.ActiveStatus("clients write here" + (f"; {clear}" if clear else ""))
    elif clear:
        yield ops.ActiveStatus(clear)


def _objections(charm: MySqlCharm, settings: Settings) -> Iterator[str]:
    """Yield what other applications say that cannot be used."""
    yield from clients.objections(charm, settings)
    if why := schedule.objection(charm):
        yield why


def _work(charm: MySqlCharm) -> Iterator[ops.StatusBase]:
    """Yield what is under way besides the service, and what of it has failed last."""
    if busy := restore.waits_for(charm):
        yield ops.MaintenanceStatus(busy)
    for record in charm.jobs.all()[-1:]:
        if record.state == "failed":
            yield ops.ActiveStatus(f"{record.id} failed: {record.progress}")
        for lack in (NOT_SAVED, LEFT):
            if record.state == "done" and lack in record.progress:
                yield ops.ActiveStatus(f"{record.id}: {record.progress[record.progress.index(lack) :]}")
        if record.ended is None:
            yield ops.ActiveStatus(f"{record.id}: {record.progress or record.state}")
