"""A TLS front of one unit: HAProxy's program before a daemon that listens on its machine only.

It ends TLS on the unit's address, and takes a new certificate without losing a connection. In a charm:

    self.front = Front(self.machine, self.app.name, user=user, tls=self.tls)    # packages: front.PACKAGES

    self.front.render(
        address=address, port=15000, daemon="unix@/run/keystone/api.sock", health="/openinfra/health"
    )
    self.front.apply()                   # starts it, and reloads it when there is something new

The program is the distribution's; its packaged service belongs to the charm `gateway` and is kept from starting here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.daemon import registry, render
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openinfra_charm.daemon.tls import Certificate
    from openinfra_charm.machine import Machine

PACKAGES = ("haproxy",)
PACKAGED = "haproxy.service"
DAEMON = "haproxy"
"""What the machine's owner of the packaged service has claimed in `openinfra_charm.daemon.registry`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How long a front waits, in seconds, and what it takes. As they are, these fit an API with short answers."""

    client: int = 60
    """How long a client may send nothing, or take nothing."""
    server: int = 120
    """How long the daemon may."""
    drain: int = 60
    """How long a process that a reload has replaced goes on with the connections that it has."""
    buffer: int = 16 << 10
    """Bytes of a connection's buffer; a request's head has to fit into one, but for 1 KiB."""
    headers: int = 101
    """The most header fields of a request."""
    reuses: bool = False
    """Whether connections to the daemon serve more than one request."""


API = Limits()
TRANSFERS = Limits(client=3600, server=3600, drain=24 * 3600, buffer=32 << 10, headers=512, reuses=True)
"""Large bodies, for hours: what moves is never cut, and an hour may go by in silence, as at the gateway."""


class Front:
    """The front of one application on this machine; its daemons run as `user`, and so does it."""

    def __init__(
        self,
        machine: Machine,
        application: str,
        *,
        user: str,
        tls: Certificate,
        services: Services | None = None,
        name: str = "",
    ) -> None:
        """Name whose front it is.

        Args:
            machine: The machine.
            application: The application's name.
            user: A system user, who can read the certificate's key.
            tls: The certificate, which has to be `combined`.
            services: The services of the application, where others have to do with them too.
            name: Which of the application's fronts it is, where there are several.
        """
        self._machine = machine
        self._application = application
        self._user = user
        self._tls = tls
        self._services = services or Services(machine, application)
        of = f"{name}-" if name else ""
        self.unit = f"{application}-{of}front.service"
        self._unit_path = f"/etc/systemd/system/{self.unit}"
        self._config_path = f"/etc/{application}/{of}front.cfg"

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
        daemon: str,
        health: str,
        proxied: int = 0,
        sources: Sequence[str] = (),
        limits: Limits = API,
        who: Sequence[str] = (),
    ) -> None:
        """Write its configuration and its unit.

        Args:
            address: The unit's address, IPv4 or IPv6.
            port: Where it listens.
            daemon: Where the daemon listens and speaks HTTP/1: `unix@` and its socket's path, or an address and port.
            health: The path of health checks, which are not logged.
            proxied: A second port, for connections that begin with the client's address (PROXY protocol); 0 for none.
            sources: The addresses from which connections to that port are accepted.
            limits: How long it waits, and what it takes.
            who: Rules (`http-request set-var(txn.who) ...`) that find whom a request names as its sender, for the log. What they
                find must not be secret.
        """
        bind = f"{bracketed(address)}:{proxied}"
        allowed = f" !{{ src {' '.join(sources)} }}" if sources else ""
        config = _CONFIG.format(
            application=self._application,
            bind=f"{bracketed(address)}:{port}",
            daemon=daemon,
            health=health,
            limits=limits,
            reuse="" if limits.reuses else "    option http-server-close\n",
            log=_LOG_WITH_SENDER if who else _LOG,
            who="".join(f"    {rule}\n" for rule in who),
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
    def was_started(self) -> bool:
        """Whether it has been started, be it well or not, and not stopped since."""
        return self.unit in self._services.units

    @property
    def takes_proxied(self) -> bool:
        """Whether it is configured for connections that begin with the client's address."""
        return " accept-proxy " in (self._machine.read(self._config_path) or "")

    def apply(self) -> None:
        """Have it run with the present configuration and certificate; it serves on while it takes new ones up."""
        service = self._service
        if not self._services.ensure_running([service], fresh=False) and self._services.outdated([service]):
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


_LOG = "%ci:%cp %HM %HP %ST, %B bytes in %Ta ms"
_LOG_WITH_SENDER = "%ci:%cp %[var(txn.who)] %HM %HP %ST, %U bytes up, %B bytes down in %Ta ms"

_CONFIG = """\
# Written by openinfra for the application {application}; will be lost.
global
    # A line has room for the longest path that there is.
    log stdout len 4096 format raw daemon info
    maxconn 4096
    hard-stop-after {limits.drain}s
    tune.bufsize {limits.buffer}
    tune.http.maxhdr {limits.headers}
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets

defaults
    mode http
    log global
    option dontlognull
    option forwardfor
{reuse}    timeout connect 5s
    timeout http-request 10s
    timeout http-keep-alive 30s
    timeout client {limits.client}s
    timeout server {limits.server}s
    # A machine that is lost says nothing.
    option clitcpka

frontend api
    bind {bind} ssl crt {certificate} alpn http/1.1
{proxied}    # Who asks, from where, for what: no query and no header, as these may hold credentials.
    log-format "{log}"
    http-request set-log-level silent if {{ path {health} }}
{who}    # What a client says of itself here would be taken for the truth. To some daemons a dash and an underscore are the same.
    http-request del-header ^x[-_]forwarded -m reg
    http-request del-header ^forwarded$ -m reg
    http-request del-header ^x[-_]real[-_]ip$ -m reg
    http-request set-header X-Forwarded-Proto https
    default_backend api

backend api
    server local {daemon}
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
# Each request is a line, however many there are.
LogRateLimitIntervalSec=0
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
