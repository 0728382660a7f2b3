"""Ceph on one machine: packages, configuration, daemons. Everything here works without Juju."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cephx
import crash
import disk
import osd_records
from admin import CONFIG, KEYRING, Admin
from monitor import Monitor, endpoint, forget_monitor
from openinfra_charm.ceph.daemon import options_at_start
from openinfra_charm.daemon import registry, render
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.machine import program
from osd import Osds
from packages import Packages
from releases import RELEASES, major

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine
    from releases import Release
    from source import Source
    from state import State

HERE = Path(__file__).parent
DAEMON = "ceph"
SHIM = "/usr/lib/openinfra/ceph-mgr"
OSD_DEVICE = "/usr/lib/openinfra/ceph-osd-device"
NVME, NVME_SERVICE = "nvme-cli", "nvmf-autoconnect.service"
NEEDRESTART = "/etc/needrestart"


class Ceph:
    """The Ceph daemons of this machine."""

    def __init__(self, machine: Machine, application: str) -> None:
        self.machine = machine
        self.application = application
        self.admin = Admin(machine)
        self.monitor = Monitor(machine, self.admin)
        self.osds = Osds(machine, self.admin, application)
        self.crash = crash.Crash(machine, self.admin)
        self.services = Services(machine, application)
        self.packages = Packages(machine, application)
        self._templates = render.Templates(machine, application, HERE / "templates")
        self._mask_mark = f"/var/lib/openinfra/{application}/masked"

    @property
    def footprint(self) -> Footprint:
        """What this leaves on the machine where it is not removed."""
        drop_ins = (_drop_in(unit) for unit in ("ceph-osd@", "ceph-mon@", "ceph-mgr@"))
        return Footprint(
            daemon=DAEMON,
            does="runs Ceph on this machine",
            paths=(
                CONFIG,
                KEYRING,
                SHIM,
                OSD_DEVICE,
                *drop_ins,
                *self.packages.paths,
                _needrestart(self.application),
            ),
            data=("/var/lib/ceph/mon", osd_records.FOLDER, disk.FILE_FOLDER),
        )

    def install(self, source: Source) -> None:
        """Install the packages where there are none yet; nothing starts.

        Raises:
            PackagesError: They cannot come from this source.
        """
        had_nvme = self.machine.package_versions((NVME,))
        if self.packages.install(source) and not had_nvme:
            # It comes with these packages and fails in every machine without NVMe over fabrics; Ceph does not use it.
            self.machine.mask_services(NVME_SERVICE)
            self.machine.write(self._mask_mark, "")

    def version(self) -> str:
        """Return the installed version, such as `18.2.7`."""
        return self._version

    @cached_property
    def _version(self) -> str:
        return self.packages.installed

    def render(self, state: State) -> bool:
        """Write the configuration; return whether anything changed."""
        config = self._templates.fill(
            "ceph.conf.j2",
            CONFIG,
            application=self.application,
            fsid=state.identity.fsid,
            monitors=sorted({endpoint(member.public_address) for member in state.monitors}),
            public_address=state.member.public_address,
            cluster_address=state.member.cluster_address,
            settings=state.settings,
        )
        keyring = f"[client.admin]\n\tkey = {state.identity.admin_key}\n"
        files = [
            config,
            File(path=KEYRING, content=keyring, mode=0o600),
            File(path=OSD_DEVICE, content=_text("files/osd-device"), mode=0o755),
            File(path=_drop_in("ceph-osd@"), content=_text("files/ceph-osd.conf")),
            File(path=_drop_in("ceph-mon@"), content=_text("files/ceph-mon.conf")),
            File(path=_drop_in("ceph-mgr@"), content=_text("files/ceph-mgr.conf")),
            *self.crash.files(),
        ]
        if self._release.loads_bcrypt:
            self.machine.remove(SHIM)
        else:
            files.append(File(path=f"{SHIM}/bcrypt.py", content=_text("files/bcrypt.py")))
        if self.machine.exists(NEEDRESTART):
            files.append(File(path=_needrestart(self.application), content=_text("files/needrestart.conf")))
        changed = render.write(self.machine, *files)
        if any(path.startswith("/etc/systemd/") for path in changed):
            self.machine.reload_systemd()
        if crash.DROP_IN in changed and self._runs(crash.UNIT):
            # It came with its package, and runs the packaged program.
            self.machine.restart_services(crash.UNIT)
        for kind in (*registry.CHECKS, registry.BEFORE_STOP):
            check = program.command(HERE / "check.py", kind, self.application)
            registry.leave_check(self.machine, kind, self.application, *check)
        return bool(changed)

    def run_monitor(self, state: State) -> bool:
        """Bring this machine's monitor and manager into the cluster; return whether the monitor is in quorum.

        Raises:
            QuorumError: A monitor that an earlier machine of this name had cannot go.
            UnreachableError: The monitors that are there do not answer.
        """
        if self.monitor.has_manager and self.monitor.in_quorum():
            return True
        self.monitor.prepare(state, self._release.name)
        self.services.ensure_running([self._monitor_service()])
        if not self.monitor.wait_for_quorum():
            return False
        self.monitor.prepare_manager()
        return True

    def leave_quorum(self) -> None:
        """Take this machine's monitor and manager out of the cluster, and remove what they kept here.

        The map comes first: of two monitors, the one that stays could not change it alone.

        Raises:
            QuorumError: The others would be no quorum; nothing was removed.
            UnreachableError: The monitors do not answer; nothing was removed.
        """
        forget_monitor(self.admin, self.monitor.name)
        self.services.stop(self.monitor.unit, self.monitor.manager_unit)
        self.monitor.remove()

    def keyrings(self) -> dict[str, str]:
        """Return where this machine's manager and OSDs find their keys, by their Ceph users."""
        found = {osd.entity: osd.keyring for osd in self.osds.all()}
        if self.monitor.has_manager:
            found[self.monitor.manager] = self.monitor.manager_keyring
        return found

    def apply(self) -> None:
        """Start what should run; what runs with an older configuration is left for `outdated`."""
        self.osds.follow_devices()
        self.services.ensure_running(self._services())

    def outdated(self) -> list[Service]:
        """Return the services that run with an older configuration and have to be restarted."""
        return self.services.outdated(self._services())

    def replaced(self) -> list[Service]:
        """Return the monitor, the manager and the OSDs that run a program which a newer package has replaced."""
        services = [service for service in self._services() if service.unit != crash.UNIT]
        units = self.machine.outdated_programs(*(service.unit for service in services))
        return [service for service in services if service.unit in units]

    def stop(self) -> None:
        """Stop all daemons, and keep them stopped."""
        self.services.stop(*self.services.units)

    def dead(self) -> list[str]:
        """Return the daemons that should run here and do not at this moment."""
        states = self.machine.service_states(*self.services.units)
        return [unit.removesuffix(".service") for unit, state in states.items() if state != "active"]

    def remove(self) -> None:
        """Take everything of ours off the machine; packages that others need stay."""
        self.stop()
        # Others may have files of their own in /etc/ceph: clients of another cluster, a backup's key.
        for path in (CONFIG, KEYRING, SHIM, OSD_DEVICE, *self.crash.paths, _needrestart(self.application)):
            self.machine.remove(path)
        for path in ("/var/lib/ceph/mon", "/var/lib/ceph/mgr", "/var/lib/ceph/osd"):
            for name in self.machine.list_folder(path):
                self.machine.remove(f"{path}/{name}")
        for unit in ("ceph-osd@", "ceph-mon@", "ceph-mgr@"):
            self.machine.remove(_drop_in(unit))
        if self.machine.exists(self._mask_mark):
            self.machine.unmask_services(NVME_SERVICE)
        registry.remove_checks(self.machine, self.application)
        registry.uninstall(self.machine, self.application)
        self.packages.remove()
        self.machine.remove(f"/var/lib/openinfra/{self.application}")

    def _services(self) -> list[Service]:
        options = self._options()
        services = [
            Service(unit=osd.unit, inputs=(*options, *self._newer_key(osd.keyring)))
            for osd in self.osds.all()
        ]
        if self.monitor.exists:
            services.insert(0, self._monitor_service())
        if self.monitor.has_manager:
            inputs = self._newer_key(self.monitor.manager_keyring)
            services.insert(1, Service(unit=self.monitor.manager_unit, inputs=inputs))
        return [*services, self.crash.service]

    def _monitor_service(self) -> Service:
        inputs = (*self._options(), *self._newer_key(self.monitor.keyring))
        return Service(unit=self.monitor.unit, inputs=inputs)

    def _newer_key(self, keyring: str) -> tuple[str, ...]:
        """Return a daemon's key where it may have taken another's place: one of the older type never does."""
        key = cephx.read(self.machine, keyring)
        return () if not key or cephx.is_old(key) else (key,)

    def _runs(self, unit: str) -> bool:
        return self.machine.service_states(unit)[unit] == "active"

    def _options(self) -> tuple[str, ...]:
        return options_at_start(self.machine.read(CONFIG) or "")

    @property
    def _release(self) -> Release:
        return RELEASES[major(self.version())]


def _needrestart(application: str) -> str:
    return f"{NEEDRESTART}/conf.d/90-openinfra-{application}.conf"


def _drop_in(unit: str) -> str:
    return f"/etc/systemd/system/{unit}.service.d/openinfra.conf"


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
