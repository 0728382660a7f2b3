"""Ceph's metadata server on one machine: packages, configuration, daemon. Everything here works without Juju."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from admin import Admin, UnreachableError
from openinfra_charm.ceph.daemon import Daemon
from openinfra_charm.daemon import registry, render
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.machine import program

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine
    from state import State

HERE = Path(__file__).parent
DAEMON = "ceph-mds"
PACKAGES = ("ceph-common", "ceph-mds")
PORTS = range(7570, 7580)


class Mds:
    """The metadata server of this machine, as one application keeps it."""

    def __init__(self, machine: Machine, application: str) -> None:
        self.machine = machine
        self.name = machine.hostname()
        self._application = application
        self._templates = render.Templates(machine, application, HERE / "templates")
        self.daemon = Daemon(
            machine, application, unit=f"ceph-mds@{self.name}.service", user=f"mds.{self.name}"
        )
        self.services = self.daemon.services
        self.programs = {self.daemon.unit: "ceph-mds"}
        self.admin = Admin(machine, self.daemon.config, f"mds.{self.name}", application)

    @property
    def footprint(self) -> Footprint:
        """What this leaves on the machine where it is not removed."""
        return Footprint(
            daemon=DAEMON, does="runs a metadata server on this machine", paths=self.daemon.paths
        )

    # Verbs

    def install(self) -> None:
        """Install the packages; nothing starts."""
        registry.install(self.machine, self._application, PACKAGES)

    def render(self, state: State) -> None:
        """Write the configuration."""
        config = self._templates.fill(
            "ceph.conf.j2",
            self.daemon.config,
            application=self._application,
            fsid=state.access.fsid,
            monitors=state.access.mon_host,
            address=state.address,
            daemon=self.name,
            keyring=self.daemon.keyring,
            cache=state.settings.cache,
            first=PORTS.start,
            last=PORTS.stop - 1,
        )
        drop_in = self._templates.fill(
            "ceph-mds.service.j2",
            self.daemon.drop_in,
            application=self._application,
            config=self.daemon.config,
        )
        access = state.access
        self.daemon.render(key=access.key, config=config, drop_in=drop_in, cluster_version=access.version)
        for kind in registry.CHECKS:
            check = program.command(HERE / "check.py", kind, self._application)
            registry.leave_check(self.machine, kind, self._application, *check)

    def apply(self) -> None:
        """Have the daemon run; one that runs with an older configuration is left for `daemon.outdated`."""
        self.daemon.apply()

    def stop(self) -> None:
        """Stop the daemon, and keep it stopped."""
        self.daemon.stop()

    def is_ready(self) -> bool:
        """Return whether the monitors count the daemon among those that serve or stand by.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        return self.name in {server.name for server in self.admin.servers()}

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until the daemon serves or stands by, but no longer than this; return whether it does."""
        return self.machine.wait_until(self.is_ready, seconds)

    def why_not_to_stop(self) -> str | None:
        """Return why the daemon must not stop now; None if clients would hardly notice."""
        try:
            servers = self.admin.servers()
        except UnreachableError as error:
            return f"{error}: repair the cluster first"
        mine = next((server for server in servers if server.name == self.name), None)
        if mine and mine.is_active and not any(server.takes_over for server in servers):
            return "no other metadata server stands by: files would be out of reach"
        return None

    @property
    def fsid(self) -> str:
        """The cluster's id, as far as it is known here."""
        return self._option("fsid")

    @property
    def monitors(self) -> list[str]:
        """The monitors' addresses, as far as they are known here."""
        return [host for host in self._option("mon_host").split(",") if host]

    def _option(self, name: str) -> str:
        found = re.search(rf"^{name} = (.*)$", self.machine.read(self.daemon.config) or "", re.MULTILINE)
        return found[1] if found else ""

    def version(self) -> str:
        """Return the installed version, such as `18.2.7`; empty before it is installed."""
        return registry.version(self.machine, "ceph-mds")
