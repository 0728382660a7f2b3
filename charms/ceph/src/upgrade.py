"""Newer versions of Ceph: packages first, on all machines; then monitors, managers and OSDs of the whole cluster, in this order.

What remains to be done is never recorded, but read: from the daemons (which program they run, which version the cluster
says that they have) and from the packages. So it does not matter who has brought newer packages, or when.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import ops

import health
from openinfra_charm.ceph.daemon import number
from openinfra_charm.daemon.job import FIRST_PAUSE
from osd import is_ok_to_stop
from packages import RELEASES, major

if TYPE_CHECKING:
    from admin import Admin
    from ceph import Ceph
    from openinfra_charm.daemon.job import Jobs
    from openinfra_charm.daemon.services import Service
    from openinfra_charm.model.cluster import Cluster
    from source import Source

RESTART_SECONDS = 40
"""How long a hook waits for restarted daemons; the next hook goes on where this one gives up."""
HANDOVER_SECONDS = 10
"""How long a manager that gives up its place may take."""
JOB = "jobs.upgrade_packages"
MOST_NAMED = 3
"""How many daemons a status names."""
WORDS = {"mon": "monitors", "mgr": "managers", "osd": "OSDs"}
"""The kinds of daemons, in the order in which they are restarted."""
FINISHED = "OSD_UPGRADE_FINISHED"
"""Ceph's health check for: all OSDs that are up run a later release than the cluster requires of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Daemon:
    """A daemon of the cluster as its metadata have it."""

    kind: str
    name: str
    version: str
    host: str

    def __str__(self) -> str:
        """Return what people call it."""
        return f"{self.kind}.{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """All daemons of the cluster with the versions that they run, or ran last.

    `last` are those that are restarted when all others of their kind have been: the active manager, whose place a standby
    takes that has been restarted, and the leading monitor. As soon as that is a later version managers may start anew by
    themselves, since it has other modules for them, and so run the later version.
    """

    daemons: tuple[Daemon, ...]
    last: frozenset[str] = frozenset()

    @classmethod
    def ask(cls, admin: Admin) -> Running:
        """Ask the cluster.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        found = [_daemon(kind, entry) for kind in WORDS for entry in admin.command(f"{kind} metadata")]
        last = {
            f"mgr.{admin.command('mgr dump')['active_name']}",
            f"mon.{admin.command('quorum_status')['quorum_leader_name']}",
        }
        return cls(daemons=tuple(daemon for daemon in found if daemon.version), last=frozenset(last))

    def of(self, kind: str) -> list[Daemon]:
        """Return the daemons of a kind."""
        return [daemon for daemon in self.daemons if daemon.kind == kind]

    def older(self, kind: str, version: str) -> list[Daemon]:
        """Return those daemons of a kind that run an older version."""
        return [daemon for daemon in self.of(kind) if number(daemon.version) < number(version)]

    def progress(self, version: str) -> str:
        """Return how far the upgrade to this version is, in words; empty where no daemon is older."""
        for kind, words in WORDS.items():
            if older := self.older(kind, version):
                oldest = min((daemon.version for daemon in self.daemons), key=number)
                here = len(self.of(kind))
                return (
                    f"upgrading Ceph {oldest} to {version}: {here - len(older)} of {here} {words} restarted"
                )
        return ""

    def left(self, version: str) -> str:
        """Return the daemons that are restarted next, with their machines."""
        older = next((found for kind in WORDS if (found := self.older(kind, version))), [])
        return ", ".join(f"{daemon} on {daemon.host}" for daemon in older[:MOST_NAMED])

    def why_not_yet(self, kind: str, name: str, version: str) -> str:
        """Return what the restart of a daemon into this version has to wait for; empty where it may be now."""
        kinds = list(WORDS)
        for earlier in kinds[: kinds.index(kind)]:
            if older := self.older(earlier, version):
                return f"{', '.join(map(str, older))} first"
        others = [daemon for daemon in self.older(kind, version) if daemon.name != name]
        return f"{', '.join(map(str, others))} first" if others and f"{kind}.{name}" in self.last else ""


class Upgrade:
    """A unit's part in an upgrade of its cluster."""

    def __init__(self, unit: ops.Unit, *, ceph: Ceph, cluster: Cluster, jobs: Jobs) -> None:
        """Take what it works with.

        Args:
            unit: This unit.
            ceph: Ceph on this machine.
            cluster: The peer relation, in which each unit tells the version that it has installed (`ceph_version`).
            jobs: This machine's jobs.
        """
        self._unit = unit
        self._ceph = ceph
        self._cluster = cluster
        self._jobs = jobs
        self._mark = f"/var/lib/openinfra/{ceph.application}/restarting"

    # Packages

    def await_packages(self, source: Source) -> ops.StatusBase | None:
        """Return what is to be waited for while packages are being replaced, which hooks and actions need.

        What was interrupted, or could not come to its end, is tried again, with the source that is set now.
        """
        running = [record for record in self._jobs.unfinished() if record.module == JOB]
        if running:
            self._jobs.resume()
            return ops.MaintenanceStatus(f"{running[0].id}: {running[0].progress or 'begins'}")
        return None if self._ceph.packages.required is None else self._install(source)

    def bring_packages(self, source: Source) -> ops.StatusBase | None:
        """Have a job take the packages from the source that the operator has set; return what is to be waited for.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        if source == self._ceph.packages.source:
            return None
        if why := self._why_not_to_begin():
            return ops.WaitingStatus(f"to upgrade Ceph: {why}")
        return self._install(source)

    def _install(self, source: Source) -> ops.StatusBase:
        same = [one for one in self._jobs.all() if (one.module, one.arguments) == (JOB, asdict(source))]
        failed = same[-1] if same and same[-1].state == "failed" else None
        # Its end has brought a hook at once.
        if not failed or self._ceph.machine.now() >= (failed.ended or 0) + FIRST_PAUSE:
            self._jobs.start(JOB, **asdict(source))
        if failed:
            # It fails of the same in a moment, most likely.
            return ops.BlockedStatus(f"no upgrade of Ceph: {failed.progress}")
        return ops.MaintenanceStatus(f"to upgrade Ceph from {source.words}: asking for its versions")

    def _why_not_to_begin(self) -> str | None:
        if why := health.why_not_to_upgrade(self._ceph.admin):
            return why
        required = self._ceph.admin.command("osd dump")["require_osd_release"]
        versions = [daemon.version for daemon in Running.ask(self._ceph.admin).of("osd")]
        oldest = min(map(major, versions), default=0)
        if oldest in RELEASES and required != RELEASES[oldest].name:
            return f"all OSDs run {RELEASES[oldest].name}, and the cluster requires {required} of them: see ceph/leader"
        return None

    # Daemons

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
            if not self._cluster.request_turn("restart"):
                return waits or self._cluster.waits_for_turn("restart")
            if why := self._why_not(due):
                return ops.WaitingStatus(f"to restart {_names(due)}: {why}")
            self._restart(due)
            if not health.wait_until_ready(self._ceph, limit - self._ceph.machine.now()):
                return self._stopped()
            due, waits = self._due()
        if self._cluster.turn_reason or self._ceph.machine.exists(self._mark):
            if not health.wait_until_ready(self._ceph, limit - self._ceph.machine.now()):
                return self._stopped()
            if self._ceph.machine.exists(self._mark):
                health.release_data(self._ceph)
                self._ceph.machine.remove(self._mark)
            self._cluster.release_turn()
        return waits

    def _due(self) -> tuple[list[Service], ops.StatusBase | None]:
        """Return what can be restarted now as far as the order goes, and what is to be waited for with the rest."""
        replaced = self._ceph.replaced()
        outdated = self._possible([service for service in self._ceph.outdated() if service not in replaced])
        installed = self._ceph.version()
        if not replaced and self._versions() <= {installed}:
            return outdated, None
        running = Running.ask(self._ceph.admin)
        progress = running.progress(installed)
        if not replaced:
            next_ones = ops.MaintenanceStatus(f"{progress}; next {running.left(installed)}")
            return outdated, next_ones if progress else self._is_behind(running)
        turn = ops.MaintenanceStatus(f"{progress}; {self._cluster.waits_for_turn('restart').message}")
        kind = next(kind for kind in WORDS if any(_kind(service) == kind for service in replaced))
        why = self._why_no_monitor_yet(running) or running.why_not_yet(
            kind, self._ceph.monitor.name, installed
        )
        if why:
            return outdated, ops.MaintenanceStatus(f"{progress or 'restarting Ceph'}; {why}")
        now = [service for service in replaced if _kind(service) == kind]
        return [*outdated, *(self._together(now) if kind == "osd" else now)], turn if progress else None

    def _why_no_monitor_yet(self, running: Running) -> str:
        """Return which monitors' machines lack the packages that this one has: the first restart waits for all of them."""
        installed = self._ceph.version()
        if not running.older("mon", installed):
            return ""
        units = [unit for unit in self._cluster.shared["monitors"] if unit in self._cluster.units]
        told = {unit: self._cluster.facts(unit).get("ceph_version", "") for unit in units}
        missing = [
            f"{unit} ({version})" for unit, version in told.items() if number(version) < number(installed)
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

    def cluster_version(self) -> str:
        """Return the version that all monitors, managers and OSDs run at least.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        return min(self._versions(), key=number, default="")

    def _versions(self) -> set[str]:
        """Return the versions that the cluster's monitors, managers and OSDs run."""
        told = self._ceph.admin.command("versions")
        return {version_in(words) for kind in WORDS for words in told.get(kind, {})}

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
        if why := health.why_not_to_stop(self._ceph, osds, with_monitor=with_monitor):
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
            health.keep_data(self._ceph)
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
        return ops.WaitingStatus(f"for Ceph after a restart: {health.why_not_ready(self._ceph)}")

    def finish(self) -> ops.StatusBase | None:
        """As the leader, have the cluster require of its OSDs what all of them run; return what is to be waited for.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        if not self._unit.is_leader():
            return None
        if FINISHED not in self._ceph.admin.command("status")["health"]["checks"]:
            return None
        running = Running.ask(self._ceph.admin).of("osd")
        least = min(major(daemon.version) for daemon in running)
        newest = max(major(daemon.version) for daemon in running)
        if old := [daemon for daemon in running if major(daemon.version) == least < newest]:
            return ops.WaitingStatus(
                f"to finish the upgrade: {old[0]} on {old[0].host} is down, and ran Ceph {old[0].version} last: start it, or "
                "remove it"
            )
        self._ceph.admin.command("osd require-osd-release", release=RELEASES[least].name)
        return None


def _daemon(kind: str, entry: dict[str, Any]) -> Daemon:
    # One that has never been up has no more than its name.
    name = str(entry["id"] if "id" in entry else entry["name"])
    host = entry.get("hostname", "")
    return Daemon(kind=kind, name=name, version=version_in(entry.get("ceph_version", "")), host=host)


def version_in(words: str) -> str:
    """Return the version in `ceph version 18.2.7 (6b0e9880...) reef (stable)`."""
    found = re.search(r"ceph version (\d+\.\d+\.\d+)", words)
    return found[1] if found else ""


def _kind(service: Service) -> str:
    return service.unit.removeprefix("ceph-").partition("@")[0]


def _number(service: Service) -> int:
    return int(service.unit.partition("@")[2].removesuffix(".service"))


def _names(services: list[Service]) -> str:
    return ", ".join(service.unit.removesuffix(".service") for service in services)
