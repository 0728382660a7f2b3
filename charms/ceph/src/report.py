"""What a unit says of itself when nothing is missing: the cluster's health, its disks, its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

import crush
import health
from admin import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ceph import Ceph
    from openinfra_charm.daemon.job import Jobs
    from openinfra_charm.daemon.pause import Pause
    from openinfra_charm.model.cluster import Cluster

FAILURE_SECONDS = 24 * 3600
"""How long the status names a job that has failed, if no other of its kind is done meanwhile."""


class Report:
    """The status of one unit. All of it is read anew: from the machine, the cluster and the peers."""

    def __init__(self, unit: ops.Unit, *, ceph: Ceph, cluster: Cluster, jobs: Jobs, pause: Pause) -> None:
        """Take what it reads: this unit, Ceph on its machine, the peer relation, this machine's jobs, and whether it is paused."""
        self._unit = unit
        self._ceph = ceph
        self._cluster = cluster
        self._jobs = jobs
        self._pause = pause

    def statuses(self, problems: Iterable[str] = (), waiting: Iterable[str] = ()) -> Iterator[ops.StatusBase]:
        """Yield every reason that the unit's status has.

        Args:
            problems: Why related applications do not get what they ask for.
            waiting: The applications whose daemons wait for as many OSDs as their pools need.
        """
        for job in self._jobs.unfinished():
            yield ops.MaintenanceStatus(f"{job.id}: {job.progress or job.state}")
        if self._pause:
            yield self._pause.status
            return
        if dead := [unit.removesuffix(".service") for unit in self._ceph.services.failed()]:
            see = f"see juju ssh {self._unit.name} journalctl -u {dead[0]}"
            yield ops.BlockedStatus(
                f"{', '.join(dead)} does not run; {see}; if its disk is dead: replace-disk, or remove-disk"
            )
        yield from self._of_the_cluster(problems, waiting)

    def _of_the_cluster(self, problems: Iterable[str], waiting: Iterable[str]) -> Iterator[ops.StatusBase]:
        try:
            status = self._ceph.admin.command("status")
            used = [rule for rule in crush.rules(self._ceph.admin) if rule["pools"]]
        except UnreachableError as error:
            yield ops.BlockedStatus(
                f"{error}; most monitors are down: start their machines, see get-quorum-status"
            )
            return
        yield from map(ops.BlockedStatus, problems)
        failures = [f"{job.id} failed: {job.progress}" for job in self._jobs.failed(FAILURE_SECONDS)]
        for unit in self._cluster.shared.get("draining", {}) if self._unit.is_leader() else ():
            why = "".join(f"; {failure}" for failure in failures)
            yield ops.WaitingStatus(
                f"{unit} is gone, its OSDs are not out of the cluster yet{why}; it is tried again"
            )
        reasons = "; ".join(health.reasons(status))
        if health.errors(status):
            yield ops.BlockedStatus(f"HEALTH_ERR: {reasons}; see get-health")
        notes = [f"{status['health']['status']}: {reasons}"] if reasons else []
        if not status["osdmap"]["num_osds"]:
            notes = [f"no disks yet: juju run {self._unit.name} add-disk osd-devices=/dev/sdX"]
        elif any(rule["failure-domain"] == "osd" for rule in used):
            notes.append("copies may share a machine, see set-failure-domain")
        notes += [
            f"{name} waits for as many OSDs as osd-pool-default-min-size says, see add-disk"
            for name in waiting
        ]
        notes += failures
        if nowhere := self._on_no_unit():
            notes.append(f"osd-devices: no unit has {', '.join(nowhere)}")
        yield ops.ActiveStatus("; ".join(notes))

    def _on_no_unit(self) -> list[str]:
        """As the leader, return the devices of the configuration that no unit has; each publishes which ones it misses."""

        def absent(unit: str) -> list[str]:
            return self._cluster.facts(unit).get("absent_devices", [])

        mine = absent(self._unit.name) if self._unit.is_leader() else []
        return [name for name in mine if all(name in absent(unit) for unit in self._cluster.units)]
