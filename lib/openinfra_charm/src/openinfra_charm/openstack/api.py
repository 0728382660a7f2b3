"""The process that serves an OpenStack API: uWSGI from the service's release tree, on a unix socket of its machine.

    api = Api(machine, application, {"OPENINFRA_WSGI": "keystone.wsgi.api:application"})
    api.install()                   # the user and the folders
    api.render(workers=2)
    api.apply(tree.name, configuration)    # starts it; one that runs with something else is left for `outdated`
    if api.outdated(tree.name, configuration) and cluster.acquire_lock("restart"):
        api.restart(tree.name, configuration)

systemd holds the socket: while the process restarts, or when it was killed, requests wait for the next one and are not
refused. The process ends its requests before it stops. It serves what the module `openinfra_wsgi` makes of the service's own
application.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from openinfra_charm.daemon import render
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.openstack.sandbox import SANDBOX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openinfra_charm.machine import Machine

_OK = 200
HEALTH = "/openinfra/health"
"""The path that answers 200 when the service can do its work, and 503 with the reason when it cannot, or is paused."""


class Api:
    """The API process of one application on this machine.

    Args:
        machine: The machine.
        application: The application's name.
        environment: What the service wants in the process's environment.
        imports: Modules that the process imports before the service's own.
        user: `root`, or else it is a user of its own.
        services: The services of the application, where others have to do with them too.
        uwsgi: More of uWSGI's options, by their names without dashes.
        name: Which of the service's APIs it is; user and folders are those of the first, `api`, as is the pause of all.
    """

    def __init__(
        self,
        machine: Machine,
        application: str,
        environment: Mapping[str, str] = MappingProxyType({}),
        imports: Iterable[str] = (),
        *,
        services: Services | None = None,
        user: str = "",
        uwsgi: Mapping[str, str | int | bool] = MappingProxyType({}),
        name: str = "api",
    ) -> None:
        self._machine = machine
        self._application = application
        self._name = name
        self._environment = environment
        self._imports = tuple(imports)
        self._uwsgi = uwsgi
        self._services = services or Services(machine, application)
        self.user = user or application
        self.has_user = self.user == application
        """Whether the user is its own, and goes with it."""
        self.etc = f"/etc/{application}"
        self.lib = f"/var/lib/{application}"
        self.modules = f"/usr/lib/openinfra/{application}"
        """Modules of the charm's that the process imports beside its tree."""
        self.socket = f"/run/{application}/{name}.sock"
        self.unit = f"{application}-{name}.service"
        self._unit_path = f"/etc/systemd/system/{self.unit}"
        self._socket_unit = f"{application}-{name}.socket"
        self._socket_path = f"/etc/systemd/system/{self._socket_unit}"
        self._paused_path = f"{self.lib}/paused"

    def install(self) -> None:
        """Make the user, and the folders that it may enter. What it logs goes to the journal."""
        if self.has_user:
            self._machine.make_user(self.user, self.lib)
        self._machine.make_folder(self.etc, mode=0o750, group=self.user)
        # What root keeps for others, who have users of their own, is reached through its folder.
        mode = 0o750 if self.has_user else 0o711
        self._machine.make_folder(self.lib, mode=mode, user=self.user, group=self.user)

    def render(self, *, workers: int) -> None:
        """Write the unit; `workers` is the number of processes that serve requests."""
        variables = {**self._environment, "OPENINFRA_PAUSED": self._paused_path}
        unit = _UNIT.format(
            application=self._application,
            name=self._name,
            title="API" if self._name == "api" else f"API {self._name}",
            user=self.user,
            environment="".join(f"Environment={key}={value}\n" for key, value in variables.items()),
            modules=self.modules,
            imports="".join(f"--import {name} " for name in self._imports),
            workers=workers,
            options="".join(_words(name, value) for name, value in self._uwsgi.items()),
            lib=self.lib,
        )
        socket = _SOCKET.format(
            application=self._application, name=self._name, user=self.user, socket=self.socket
        )
        files = (File(path=self._unit_path, content=unit), File(path=self._socket_path, content=socket))
        if render.write(self._machine, *files):
            self._machine.reload_systemd()

    def apply(self, *inputs: str) -> bool:
        """Have it run; return whether it was started. `inputs` is what it reads only when it starts: a tree, files."""
        socket = Service(unit=self._socket_unit)
        return self.unit in self._services.ensure_running([socket, self._service(inputs)])

    def outdated(self, *inputs: str) -> bool:
        """Return whether it runs with something else than this."""
        return bool(self._services.outdated([self._service(inputs)]))

    def restart(self, *inputs: str) -> None:
        """Restart it with this."""
        self._services.restart(self._service(inputs))

    def problem(self, patience: float = 0) -> str:
        """Return why the service cannot do its work, in its own words; empty if it can.

        Args:
            patience: How many seconds to wait for it.
        """
        limit = self._machine.now() + patience
        while (why := self._problem()) and self._machine.now() + 1 <= limit:
            self._machine.sleep(1)
        return why

    def _problem(self) -> str:
        try:
            answer = self._machine.ask(self.socket, "GET", HEALTH)
        except OSError:
            return self._services.why_restarting(self.unit) or f"{self.unit} does not answer"
        return "" if answer.status == _OK else answer.body.strip() or f"its health is {answer.status}"

    def why_not_to_stop(self, others: Iterable[str], *, ca_path: str) -> str:
        """Return why this unit must not stop now; empty if another one serves, or there is none.

        A unit alone has no other to serve meanwhile: then it is for whoever stops it to know. One that does not serve itself
        can stop at any time.

        Args:
            others: Where the fronts of the application's other units are: `https://10.0.0.11:15000`.
            ca_path: The CA certificates that theirs are checked with.
        """
        places = tuple(others)
        if not places or self._problem() or any(self._serves(place, ca_path) for place in places):
            return ""
        return f"no other unit of {self._application} serves: see its status"

    def _serves(self, place: str, ca_path: str) -> bool:
        try:
            return self._machine.fetch(f"{place}{HEALTH}", ca_path=ca_path, timeout=5).status == _OK
        except OSError:
            return False

    @property
    def paused(self) -> bool:
        """Whether an operator has paused this unit."""
        return self._machine.exists(self._paused_path)

    def drain(self) -> None:
        """Say that this unit is to be sent no more requests; the process serves on."""
        self._machine.write(self._paused_path, "", user=self.user, group=self.user)

    def undrain(self) -> None:
        """Take requests again."""
        self._machine.remove(self._paused_path)

    def stop(self) -> None:
        """Stop the process, and keep it stopped."""
        self._services.stop(self.unit, self._socket_unit)

    def remove(self) -> None:
        """Take the process, and the first API's user and folders, off the machine."""
        self.stop()
        for path in self.paths:
            self._machine.remove(path)
        self._machine.reload_systemd()
        if self.has_user and self._name == "api":
            self._machine.remove_user(self.user)

    @property
    def paths(self) -> tuple[str, ...]:
        """What was written for it, and what it has written."""
        own = (self._unit_path, self._socket_path)
        return (*own, self.modules, self.etc, self.lib) if self._name == "api" else own

    def _service(self, inputs: tuple[str, ...]) -> Service:
        own = self._machine.read(self._unit_path) or ""
        return Service(unit=self.unit, inputs=(own, *inputs))


def _words(name: str, value: object) -> str:
    """Return an option of uWSGI's as systemd reads it, which has words of its own for what begins with a percent sign."""
    if isinstance(value, bool):
        return f" --{name}" if value else ""
    return f' --{name} "{value}"'.replace("%", "%%")


_SOCKET = """\
# Written by openinfra for the application {application}; will be lost.
[Unit]
Description=Socket of {name} of {application}

[Socket]
ListenStream={socket}
SocketUser={user}
SocketGroup={user}
SocketMode=0660
Backlog=1024

[Install]
WantedBy=sockets.target
"""

_UNIT = (
    """\
# Written by openinfra for the application {application}; will be lost.
[Unit]
Description={title} of {application}
Wants=network-online.target
After=network-online.target {application}-{name}.socket
Requires={application}-{name}.socket
StartLimitIntervalSec=0

[Service]
User={user}
Group={user}
{environment}ExecStart=/opt/{application}/current/bin/uwsgi --master --lazy-apps --enable-threads --die-on-term --need-app --buffer-size 65535 \\
  --protocol http --listen 1024 --processes {workers} --pythonpath {modules} {imports}--module openinfra_wsgi:application \\
  --add-header "Connection: close" --disable-logging --procname-prefix-spaced {application} \\
  --hook-master-start "unix_signal:15 gracefully_kill_them_all"{options}
TimeoutStopSec=30
"""
    + SANDBOX
)
