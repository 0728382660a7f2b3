"""Ceph's metadata server on one machine: packages, configuration, daemon. Everything here works without Juju."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from admin import Admin, UnreachableError
from openinfra_charm import registry, render
from openinfra_charm.render import File
from openinfra_charm.service import Service, Services

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine
    from state import State

HERE = Path(__file__).parent
DAEMON = "ceph-mds"
PACKAGES = ("ceph-common", "ceph-mds")
DROP_IN = "/etc/systemd/system/ceph-mds@.service.d/openinfra.conf"
PORTS = range(7570, 7580)
_PAUSE = 1


class Mds:
    """The metadata server of this machine, as one application keeps it."""

    def __init__(self, machine: Machine, application: str) -> None:
        self.machine = machine
        self.name = machine.hostname()
        self.unit = f"ceph-mds@{self.name}.service"
        self._application = application
        self._folder = f"/etc/{application}"
        self._config = f"{self._folder}/ceph.conf"
        self._keyring = f"{self._folder}/keyring"
        self._pause_mark = f"/var/lib/openinfra/{application}/paused"
        self._services = Services(machine, application)
        self._templates = render.Templates(machine, application, HERE / "templates")
        self.admin = Admin(machine, self._config, f"mds.{self.name}", application)

    # Verbs

    def install(self) -> None:
        """Install the packages; nothing starts."""
        registry.install(self.machine, self._application, PACKAGES)

    def render(self, state: State) -> None:
        """Write the configuration."""
        config = self._templates.fill(
            "ceph.conf.j2",
            application=self._application,
            fsid=state.fsid,
            # Ceph knows its monitors' ports itself.
            monitors=sorted(f"[{host}]" if ":" in host else host for host in state.monitors),
            address=state.address,
            daemon=self.name,
            keyring=self._keyring,
            cache=state.settings.cache,
            first=PORTS.start,
            last=PORTS.stop - 1,
        )
        drop_in = self._templates.fill(
            "ceph-mds.service.j2", application=self._application, config=self._config
        )
        keyring = f"[mds.{self.name}]\n\tkey = {state.key}\n"
        changed = render.write(
            self.machine,
            File(path=self._keyring, content=keyring, mode=0o600, user="ceph", group="ceph"),
            File(path=self._config, content=config),
            File(path=DROP_IN, content=drop_in),
        )
        if DROP_IN in changed:
            self.machine.reload_systemd()
        path = ":".join(str(Path(folder).resolve()) for folder in sys.path if folder)
        for kind in registry.CHECKS:
            check = ("env", f"PYTHONPATH={path}", "python3", str(HERE / "check.py"), kind, self._application)
            registry.leave_check(self.machine, kind, self._application, *check)

    def apply(self) -> None:
        """Have the daemon run; one that runs with an older configuration is left for `outdated`."""
        self._services.ensure_running([self._service()])

    start = apply

    def outdated(self) -> bool:
        """Return whether the daemon runs with an older configuration and has to be restarted."""
        return bool(self._services.outdated([self._service()]))

    def restart(self) -> None:
        """Restart the daemon with the present configuration."""
        self._services.restart(self._service())

    def stop(self) -> None:
        """Stop the daemon, and keep it stopped."""
        self._services.stop(self.unit)

    @property
    def paused(self) -> bool:
        """Whether an operator has paused this machine's daemon."""
        return self.machine.exists(self._pause_mark)

    def pause(self) -> None:
        """Stop the daemon until `resume`, also over a restart of the machine."""
        self.machine.write(self._pause_mark, "")
        self.stop()

    def resume(self) -> None:
        """Start the daemon again after `pause`."""
        self.machine.remove(self._pause_mark)
        self.apply()

    def runs(self) -> bool:
        """Return whether the daemon's process is there."""
        return self.machine.service_states(self.unit)[self.unit] == "active"

    def is_ready(self) -> bool:
        """Return whether the monitors count the daemon among those that serve or stand by.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        return self.name in {server.name for server in self.admin.servers()}

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until the daemon serves or stands by, but no longer than this; return whether it does."""
        limit = self.machine.now() + seconds
        while not self.is_ready():
            if self.machine.now() + _PAUSE > limit:
                return False
            self.machine.sleep(_PAUSE)
        return True

    def why_not_to_stop(self) -> str | None:
        """Return why the daemon must not stop now; None if clients would hardly notice."""
        try:
            servers = self.admin.servers()
        except UnreachableError as error:
            return f"{error}: it must be mended first"
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
        found = re.search(rf"^{name} = (.*)$", self.machine.read(self._config) or "", re.MULTILINE)
        return found[1] if found else ""

    def version(self) -> str:
        """Return the installed version, such as `18.2.7`; empty before it is installed."""
        return re.split(r"[+~-]", self.machine.package_versions(("ceph-mds",)).get("ceph-mds", ""))[0]

    def remove(self) -> None:
        """Take everything of ours off the machine; packages that others need stay, and so do all data."""
        self.stop()
        for path in (str(Path(DROP_IN).parent), self._folder):
            self.machine.remove(path)
        self.machine.reload_systemd()
        registry.remove_checks(self.machine, self._application)
        registry.uninstall(self.machine, self._application)
        self.machine.remove(f"/var/lib/openinfra/{self._application}")

    def _service(self) -> Service:
        """Return the daemon and what it takes up at its start only.

        Where the monitors are is not among it: the daemon learns that from the cluster.
        """
        config = (self.machine.read(self._config) or "").splitlines()
        lines = [line for line in config if not line.startswith(("#", "mon_host"))]
        files = (self.machine.read(path) or "" for path in (self._keyring, DROP_IN))
        return Service(unit=self.unit, inputs=(*lines, *files))
