"""A daemon that works with a Ceph cluster: with a configuration, a key and a systemd drop-in of its application's own.

`/etc/ceph` belongs to whoever runs Ceph on the machine. In a charm:

    self.daemon = Daemon(machine, application, unit=f"ceph-mds@{host}.service", user=f"mds.{host}")

    self.daemon.render(key=key, config=config, drop_in=drop_in)
    self.daemon.apply()      # starts it; one that runs with something else is left for `outdated`
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_charm.daemon import registry, render
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service, Services

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openinfra_charm.machine import Machine


def number(version: str) -> tuple[int, ...]:
    """Return a version of Ceph as what can be compared: (18, 2, 7); an empty one comes before all."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def options_at_start(config: str) -> tuple[str, ...]:
    """Return the lines of a ceph.conf that a daemon reads only when it starts.

    Where the monitors are is not among them: daemons learn that from the cluster.
    """
    return tuple(line for line in config.splitlines() if not line.startswith(("#", "mon_host")))


class Daemon:
    """The daemon of one application on this machine."""

    def __init__(
        self,
        machine: Machine,
        application: str,
        *,
        unit: str,
        user: str,
        files: Sequence[str] = (),
        services: Services | None = None,
    ) -> None:
        """Name what there is of it.

        Args:
            machine: The machine.
            application: The application's name.
            unit: The packaged systemd unit, an instance of a template.
            user: The Ceph user that the key is for, with its type: `mds.machine-0`.
            files: More files that it reads only when it starts; they need not be there.
            services: The services of the application, where others have to do with them too.
        """
        self._machine = machine
        self._user = user
        self._files = tuple(files)
        self.unit = unit
        self.folder = f"/etc/{application}"
        self.config = f"{self.folder}/ceph.conf"
        self.keyring = f"{self.folder}/keyring"
        self.drop_in = f"/etc/systemd/system/{unit.partition('@')[0]}@.service.d/openinfra.conf"
        self.services = services or Services(machine, application)
        self._cluster_version = ""
        self._behind: bool | None = None
        """Whether its program is behind, as far as this hook has looked."""

    def render(self, *, key: str, config: File, drop_in: File, cluster_version: str = "") -> None:
        """Write what it starts with.

        Args:
            key: Its Ceph user's key.
            config: Its ceph.conf, at the path `config`.
            drop_in: What is added to its systemd unit, at the path `drop_in`.
            cluster_version: What the cluster's own daemons run at least: it takes newer packages up after these.
        """
        self._cluster_version = cluster_version
        self._behind = None
        changed = render.write(
            self._machine,
            self.private(self.keyring, f"[{self._user}]\n\tkey = {key}\n"),
            config,
            drop_in,
        )
        if self.drop_in in changed:
            self._machine.reload_systemd()

    @staticmethod
    def private(path: str, content: str) -> File:
        """Return a file that only the daemon may read."""
        return File(path=path, content=content, mode=0o600, user="ceph", group="ceph")

    def apply(self) -> None:
        """Have it run; one that runs with an older configuration is left for `outdated`."""
        if self.services.ensure_running([self._service]):
            self._behind = None

    def outdated(self) -> bool:
        """Return whether it runs with an older configuration, or an older program than it may, and has to be restarted."""
        if self.services.outdated([self._service]):
            return True
        if self._behind is None:
            self._behind = self._is_behind()
        return self._behind

    def _is_behind(self) -> bool:
        """Return whether newer packages have replaced its program, and the cluster runs these already."""
        if not self._cluster_version or not self._machine.outdated_programs(self.unit):
            return False
        return number(self._cluster_version) >= number(registry.version(self._machine, "ceph-common"))

    def restart(self) -> None:
        """Restart it with what is there now."""
        self._behind = None
        self.services.restart(self._service)

    def stop(self) -> None:
        """Stop it, and keep it stopped."""
        self.services.stop(self.unit)

    @property
    def was_started(self) -> bool:
        """Whether it has been started, be it well or not, and not stopped since."""
        return self.unit in self.services.units

    @property
    def paths(self) -> tuple[str, ...]:
        """What was written for it."""
        return (str(Path(self.drop_in).parent), self.folder)

    @property
    def _service(self) -> Service:
        """The unit, and what it reads only when it starts."""
        options = options_at_start(self._machine.read(self.config) or "")
        paths = (self.keyring, self.drop_in, *self._files)
        files = (self._machine.read(path) or "" for path in paths)
        return Service(unit=self.unit, inputs=(*options, *files))
