"""What a unit says of itself when nothing is missing: the cluster's health, its disks, its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

import crush
import daemons
import health
from admin import UnreachableError
from openinfra_charm.model import granted
from openinfra_charm.model.status import paused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from charm import CephCharm


TOLD_SECONDS = 24 * 3600
"""How long the status tells of a job that has failed, if no other of its kind is done meanwhile."""


def statuses(charm: CephCharm) -> Iterator[ops.StatusBase]:
    """Yield every reason that the unit's status has, from the machine and the cluster as they are now."""
    for job in charm.jobs.unfinished():
        yield ops.MaintenanceStatus(f"{job.id}: {job.progress or job.state}")
    if charm.ceph.paused:
        yield paused(charm.unit.name)
        return
    if dead := charm.ceph.dead():
        why = f"see juju ssh {charm.unit.name} journalctl -u {dead[0]}"
        yield ops.BlockedStatus(
            f"{', '.join(dead)} does not run; {why}; a dead disk: replace-disk, or remove-disk"
        )
    try:
        status = charm.ceph.admin.command("status")
        words = health.reasons(status)
        used = [rule for rule in crush.rules(charm.ceph.admin) if rule["pools"]]
        sharing = [rule for rule in used if rule["failure-domain"] == "osd"]
    except UnreachableError as error:
        yield ops.BlockedStatus(
            f"{error}; most monitors are down: start their machines, see get-quorum-status"
        )
        return
    plain = () if charm.config["allow-plain-credentials"] else charm.clients.refused()
    for name in (*plain, *daemons.refused(charm)):
        yield ops.BlockedStatus(granted.wants_plain(name, "key"))
    if health.errors(status):
        yield ops.BlockedStatus(f"HEALTH_ERR: {'; '.join(words)}; see get-health")
    notes = [f"{status['health']['status']}: {'; '.join(words)}"] if words else []
    if not status["osdmap"]["num_osds"]:
        notes = [f"no disks yet: juju run {charm.unit.name} add-disk osd-devices=/dev/sdX"]
    elif sharing:
        notes.append("copies may share a machine, see set-failure-domain")
    notes += [f"{job.id} failed: {job.progress}" for job in charm.jobs.failed(TOLD_SECONDS)]
    if nowhere := _on_no_unit(charm):
        notes.append(f"osd-devices: {', '.join(nowhere)}: on no unit")
    yield ops.ActiveStatus("; ".join(notes))


def _on_no_unit(charm: CephCharm) -> list[str]:
    """As the leader, return the devices of the configuration that no unit has; each has said which ones it misses."""

    def absent(unit: str) -> list[str]:
        return charm.cluster.facts(unit).get("absent_devices", [])

    mine = absent(charm.unit.name) if charm.unit.is_leader() else []
    return [name for name in mine if all(name in absent(unit) for unit in charm.cluster.units)]
