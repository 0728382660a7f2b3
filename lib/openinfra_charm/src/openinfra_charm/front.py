"""A TLS front of one unit: HAProxy's program before a daemon that listens on a unix socket of its machine.

It ends TLS on the unit's address, and takes a new certificate without losing a connection. In a charm:

    self.front = Front(self.machine, self.app.name, user=user, tls=self.tls)    # packages: front.PACKAGES

    self.front.render(address=address, port=15000, socket="/run/keystone/api.sock", health="/openinfra/health")
    self.front.apply()                   # starts it, and reloads it when there is something new

The program is the distribution's; its packaged service belongs to the charm `gateway` and is kept from starting here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm import registry, render
from openinfra_charm.render import File
from openinfra_charm.service import Service, Services
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openinfra_charm.machine import Machine
    from openinfra_charm.tls import Certificate

PACKAGES = ("haproxy",)
PACKAGED = "haproxy.service"
DAEMON = "haproxy"
"""What the machine's owner of the packaged service has claimed in `openinfra_charm.registry`."""


class Front:
    """The front of one application on this machine; its daemons run as `user`, and so does it."""

    def __init__(self, machine: Machine, application: str, *, user: str, tls: Certificate) -> None:
        """Name whose front it is.

        Args:
            machine: The machine.
            application: The application's name.
            user: A system user, who can read the certificate's key.
            tls: The certificate, which has to be `combined`.
        """
        self._machine = machine
        self._application = application
        self._user = user
        self._tls = tls
        self._services = Services(machine, application)
        self.unit = f"{application}-front.service"
        self._unit_path = f"/etc/systemd/system/{self.unit}"
        self._config_path = f"/etc/{application}/front.cfg"

    def keep_packaged_stopped(self) -> None:
        """Keep the package's own service from starting with the machine, unless somebody has claimed it."""
        if self._machine.exists(self._unit_path) or self._machine.exists(f"{registry.OWNERS}/{DAEMON}"):
            return
        if self._machine.enabled_services(PACKAGED):
            self._machine.stop_services(PACKAGED)

    def render(
        self,
        *,
        address: str,
        port: int,
        socket: str,
        health: str,
        proxied: int = 0,
        sources: Sequence[str] = (),
    ) -> None:
        """Write its configuration and its unit.

        Args:
            address: The unit's address, IPv4 or IPv6.
            port: Where it listens.
            socket: The daemon's unix socket, which speaks HTTP/1.
            health: The path of health checks, which are not logged.
            proxied: A second port, for connections that begin with the client's address (PROXY protocol); 0 for none.
            sources: The addresses from which connections to that port are accepted.
        """
        bind = f"{bracketed(address)}:{proxied}"
        allowed = f" !{{ src {' '.join(sources)} }}" if sources else ""
        config = _CONFIG.format(
            application=self._application,
            bind=f"{bracketed(address)}:{port}",
            socket=socket,
            health=health,
            proxied=_PROXIED.format(
                bind=bind, certificate=self._tls.combined_path, port=proxied, allowed=allowed
            )
            if proxied
            else "",
            certificate=self._tls.combined_path,
        )
        unit = _UNIT.format(application=self._application, user=self._user, config=self._config_path)
        changed = render.write(
            self._machine,
            File(path=self._config_path, content=config),
            File(path=self._unit_path, content=unit),
        )
        if self._unit_path in changed:
            self._machine.reload_systemd()

    @property
    def takes_proxied(self) -> bool:
        """Whether it is configured for connections that begin with the client's address."""
        return " accept-proxy " in (self._machine.read(self._config_path) or "")

    def apply(self) -> None:
        """Have it run with the present configuration and certificate; it serves on while it takes new ones up."""
        service = self._service
        if not self._services.ensure_running([service]) and self._services.outdated([service]):
            self._services.reload(service)

    def stop(self) -> None:
        """Stop it, and keep it stopped."""
        self._services.stop(self.unit)

    def remove(self) -> None:
        """Take it off the machine; the package stays as long as others need it."""
        self.stop()
        for path in self.paths:
            self._machine.remove(path)

    @property
    def paths(self) -> tuple[str, ...]:
        """What was written for it."""
        return (self._config_path, self._unit_path)

    @property
    def _service(self) -> Service:
        paths = (self._config_path, self._tls.combined_path)
        return Service(unit=self.unit, inputs=tuple(self._machine.read(path) or "" for path in paths))


_CONFIG = """\
# Written by openinfra for the application {application}; will be lost.
global
    log stdout format raw daemon info
    maxconn 4096
    hard-stop-after 60s
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets

defaults
    mode http
    log global
    option dontlognull
    option forwardfor
    option http-server-close
    timeout connect 5s
    timeout http-request 10s
    timeout http-keep-alive 30s
    timeout client 60s
    timeout server 120s

frontend api
    bind {bind} ssl crt {certificate} alpn http/1.1
{proxied}    # Who asks, from where, for what: no query and no header, as these may hold credentials.
    log-format "%ci:%cp %HM %HP %ST, %B bytes in %Ta ms"
    http-request set-log-level silent if {{ path {health} }}
    # What a client says of itself here would be taken for the truth.
    http-request del-header X-Forwarded- -m beg
    http-request del-header Forwarded
    http-request del-header X-Real-IP
    http-request set-header X-Forwarded-Proto https
    default_backend api

backend api
    server local unix@{socket}
"""

_PROXIED = """\
    bind {bind} accept-proxy ssl crt {certificate} alpn http/1.1
    # Only the gateway may say whose connection it is.
    tcp-request connection reject if {{ dst_port {port} }}{allowed}
"""

_UNIT = """\
# Written by openinfra for the application {application}; will be lost.
[Unit]
Description=TLS front of {application}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
User={user}
Group={user}
ExecStart=/usr/sbin/haproxy -Ws -f {config}
ExecReload=/usr/sbin/haproxy -c -q -f {config}
ExecReload=/bin/kill -USR2 $MAINPID
KillMode=mixed
SuccessExitStatus=143
Restart=always
RestartSec=1
OOMScoreAdjust=-200
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictSUIDSGID=yes
LockPersonality=yes
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
"""
