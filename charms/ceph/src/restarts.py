"""Restarts of this machine's daemons, one unit of the application at a time: for newer options, keys or programs.

In an upgrade monitors come first, then managers, then OSDs of the whole cluster. What remains to be done is never recorded, but
read: from the daemons (which program they run, which version the cluster says that they have) and from the packages. So it
does not matter who has brought newer packages, or when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

import health
import maintenance
import versions
from openinfra_charm.ceph.daemon import number
from openinfra_charm.model.status import RetriedStatus
from safety import is_ok_to_stop
from versions import WORDS, Running

if TYPE_CHECKING:
    from ceph import Ceph
    from openinfra_charm.daemon.services import Service
    from openinfra_charm.model.cluster import Cluster

RESTART_SECONDS = 40
"""How long a hook waits for restarted daemons; the next hook goes on where this one gives up."""
HANDOVER_SECONDS = 10
"""How long a manager that gives up its place may take."""


class Restarts:
    """A unit's part in the restarts of its cluster's daemons."""

    def __init__(self, unit: ops.Unit, *, ceph: Ceph, cluster: Cluster) -> None:
        """Take this unit, Ceph on its machine and the peers, each of which publishes the version that it has installed."""
        self._unit = unit
        self._ceph = ceph
        self._cluster = cluster
        self._mark = f"/var/lib/openinfra/{ceph.application}/restarting"

    def restart_outdated(self) -> ops.StatusBase | None:
        """Restart what runs with an older configuration or an older program, one unit of the application at a time.

        Returns:
            What is to be waited for.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        limit = self._ceph.machine.now() + RESTART_SECONDS
        due, waits = self._due()
        while due:
            if not self._cluster.acquire_lock("restart"):
                return waits or self._cluster.waits_for_lock("restart")
            if why := self._why_not(due):
                return RetriedStatus(f"to restart {_names(due)}: {why}")
            self._restart(due)
            if not maintenance.wait_until_ready(self._ceph, limit - self._ceph.machine.now()):
                return self._stopped()
            due, waits = self._due()
        if self._cluster.lock_reason or self._ceph.machine.exists(self._mark):
            if not maintenance.wait_until_ready(self._ceph, limit - self._ceph.machine.now()):
                return self._stopped()
            if self._ceph.machine.exists(self._mark):
                maintenance.release_data(self._ceph)
                self._ceph.machine.remove(self._mark)
            self._cluster.release_lock()
        return waits

    def _due(self) -> tuple[list[Service], ops.StatusBase | None]:
        """Return what can be restarted now as far as the order goes, and what is to be waited for with the rest."""
        replaced = self._ceph.replaced()
        outdated = self._possible([service for service in self._ceph.outdated() if service not in replaced])
        installed = self._ceph.version()
        if not replaced and versions.running(self._ceph.admin) <= {installed}:
            return outdated, None
        running = Running.ask(self._ceph.admin)
        progress = running.progress(installed)
        if not replaced:
            next_ones = ops.MaintenanceStatus(f"{progress}; next {running.left(installed)}")
            return outdated, next_ones if progress else self._is_behind(running)
        waits = ops.MaintenanceStatus(f"{progress}; {self._cluster.waits_for_lock('restart').message}")
        kind = next(kind for kind in WORDS if any(_kind(service) == kind for service in replaced))
        why = self._why_no_monitor_yet(running) or running.why_not_yet(
            kind, self._ceph.monitor.name, installed
        )
        if why:
            return outdated, ops.MaintenanceStatus(f"{progress or 'restarting Ceph'}; {why}")
        now = [service for service in replaced if _kind(service) == kind]
        return [*outdated, *(self._together(now) if kind == "osd" else now)], waits if progress else None

    def _why_no_monitor_yet(self, running: Running) -> str:
        """Return which monitors' machines lack the packages that this one has: the first restart waits for all of them."""
        installed = self._ceph.version()
        if not running.older("mon", installed):
            return ""
        units = [unit for unit in self._cluster.shared["monitors"] if unit in self._cluster.units]
        published = {unit: self._cluster.facts(unit).get("ceph_version", "") for unit in units}
        missing = [
            f"{unit} ({version})"
            for unit, version in published.items()
            if number(version) < number(installed)
        ]
        return f"for {installed} on {', '.join(missing)}" if missing else ""

    def _possible(self, services: list[Service]) -> list[Service]:
        """Return those services of this machine that can be restarted at once: not OSDs that would take data away together."""
        osds = [service for service in services if _kind(service) == "osd"]
        others = [service for service in services if service not in osds]
        return [*others, *(self._together(osds) if osds else ())]

    def _together(self, osds: list[Service]) -> list[Service]:
        """Return all OSDs of this machine, or one of them where their data are on no other machine."""
        numbers = [_number(service) for service in osds]
        return osds if is_ok_to_stop(self._ceph.admin, numbers) else osds[:1]

    def _is_behind(self, running: Running) -> ops.StatusBase | None:
        """Return what is to be waited for where daemons of other machines run a later version than is installed here."""
        newest = max((daemon.version for daemon in running.daemons), key=number)
        installed = self._ceph.version()
        if number(newest) <= number(installed):
            return None
        return ops.WaitingStatus(
            f"for Ceph {newest}, which others run: {installed} is installed on this machine"
        )

    def _why_not(self, due: list[Service]) -> str | None:
        """Return why these services must not stop now; None if clients would not notice."""
        osds = [_number(service) for service in due if _kind(service) == "osd"]
        with_monitor = any(_kind(service) == "mon" for service in due)
        if why := maintenance.why_not_to_stop(self._ceph, osds, with_monitor=with_monitor):
            return why
        if due[-1] not in self._ceph.replaced():
            return None
        status = self._ceph.admin.command("status")
        if wrong := health.errors(status):
            return f"HEALTH_ERR: {'; '.join(wrong)}; see get-health"
        if "MON_DOWN" in status["health"]["checks"]:
            return "monitors are not in quorum, see get-quorum-status"
        if osds and not health.is_clean(status):
            return "data is being repaired"
        return None

    def _restart(self, due: list[Service]) -> None:
        kinds = {_kind(service) for service in due}
        if "osd" in kinds:
            # On record first: a hook that dies leaves no flag behind.
            self._ceph.machine.write(self._mark, "")
            maintenance.keep_data(self._ceph)
        if "mgr" in kinds:
            self._hand_over()
        for service in due:
            self._ceph.services.restart(service)

    def _hand_over(self) -> None:
        """Have a standby take this machine's manager's place; the monitors would miss one that just ends for 30 s."""
        name, admin = self._ceph.monitor.name, self._ceph.admin
        known = admin.command("mgr dump")
        if known["active_name"] == name and known["standbys"]:
            admin.command("mgr fail", who=name)
            self._ceph.machine.wait_until(
                lambda: bool((now := admin.command("mgr dump"))["available"] and now["active_name"] != name),
                HANDOVER_SECONDS,
            )

    def _stopped(self) -> ops.StatusBase:
        """Return what a unit says whose daemons do not come back; the others wait for it."""
        if dead := self._ceph.dead():
            return ops.BlockedStatus(
                f"restarting Ceph stops here: {', '.join(dead)} does not run; see juju ssh {self._unit.name} "
                f"journalctl -u {dead[0]}"
            )
        return RetriedStatus(f"for Ceph after a restart: {maintenance.why_not_ready(self._ceph)}")


def _kind(service: Service) -> str:
    return service.unit.removeprefix("ceph-").partition("@")[0]


def _number(service: Service) -> int:
    return int(service.unit.partition("@")[2].removesuffix(".service"))


def _names(services: list[Service]) -> str:
    return ", ".join(service.unit.removesuffix(".service") for service in services)
