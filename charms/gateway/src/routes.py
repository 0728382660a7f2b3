"""Routes as HAProxy's configuration has them (HAProxy's configuration manual, 2.8 and later)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.values import bracketed
from state import name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openinfra_charm.interfaces.haproxy_route_tcp import Asked, Backend, Check
    from state import State

CHECK = {"inter": "1500ms", "fall": 3, "rise": 2}
"""The pace of health checks: a machine that is lost counts as down after seven seconds at most."""
_RISE_OF_SINGLE = 10
"""A writer that has come back is to have answered for five seconds before sessions are cut to go there."""
_KINDS = {"mysql": "mysql-check", "postgres": "pgsql-check", "redis": "redis-check", "smtp": "smtpchk"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """What is behind a listener for one application: the lines of HAProxy's backend. `match` is how its SNI is found."""

    name: str
    sni: str
    match: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listener:
    """A port and the routes that share it. `default` is the one that is not chosen by a name, if there is one."""

    port: int
    addresses: tuple[str, ...]
    timeout: int
    routes: tuple[Route, ...]
    default: str
    takes_tls_only: bool

    @property
    def inspects(self) -> bool:
        """Whether a connection's first bytes are looked at before it is passed on."""
        return self.takes_tls_only or any(route.sni for route in self.routes)


def listeners(state: State) -> list[Listener]:
    """Return what HAProxy listens on, by port."""
    by_port: defaultdict[int, list[Asked]] = defaultdict(list)
    for asked in state.routes:
        by_port[asked.route.port].append(asked)
    return [_listener(state, port, group) for port, group in sorted(by_port.items())]


def server_name(backend: Backend) -> str:
    """Return the name of a backend's server in HAProxy, which takes no slash."""
    return backend.name.replace("/", "-")


def _listener(state: State, port: int, group: list[Asked]) -> Listener:
    default = next((asked for asked in group if not asked.sni), None)
    return Listener(
        port=port,
        addresses=state.networks.listen_inside(state.config)
        if all(asked.route.internal for asked in group)
        else state.listen,
        timeout=max(_timeout(state, asked) for asked in group),
        routes=tuple(_route(state, asked) for asked in sorted(group, key=_most_exact)),
        default=name(default) if default else "",
        takes_tls_only=default is None or default.enforce_tls,
    )


def _most_exact(asked: Asked) -> tuple[bool, int, str]:
    """Sort wildcards after whole names, and the longer ones first."""
    return (asked.sni.startswith("*"), -len(asked.sni), asked.sni)


def _route(state: State, asked: Asked) -> Route:
    wildcard = asked.sni.startswith("*.")
    return Route(
        name=name(asked),
        sni=asked.sni,
        match=f"-m end {asked.sni[1:]}" if wildcard else asked.sni,
        lines=tuple(_lines(state, asked)),
    )


def _timeout(state: State, asked: Asked) -> int:
    return asked.route.timeout or state.config.session_timeout


def _lines(state: State, asked: Asked) -> Iterator[str]:
    yield f"timeout server {_timeout(state, asked)}s"
    if asked.connect_timeout:
        yield f"timeout connect {asked.connect_timeout}s"
    if asked.queue_timeout:
        yield f"timeout queue {asked.queue_timeout}s"
    if asked.retries:
        yield f"retries {asked.retries}"
        yield "option redispatch 1" if asked.redispatch else "no option redispatch"
    yield f"balance {asked.balance or 'leastconn'}"
    if asked.consistent:
        yield "hash-type consistent"
    if asked.deny:
        yield f"tcp-request content reject if {{ src {' '.join(asked.deny)} }}"
    if asked.rate:
        yield "stick-table type ipv6 size 100k expire 1m store conn_rate(1m)"
        yield "tcp-request content track-sc0 src"
        yield f"tcp-request content {asked.rate_policy} if {{ sc0_conn_rate gt {asked.rate} }}"
    yield from _check_lines(state, asked)
    for place, backend in enumerate(asked.backends):
        address = f"{bracketed(backend.address)}:{asked.route.backend_port}"
        yield " ".join(["server", server_name(backend), address, *_options(state, asked, place)])


def _check_lines(state: State, asked: Asked) -> Iterator[str]:
    health = asked.route.health
    if health.path:
        # Not the gateway's own name: an object store takes a name that it does not know for a bucket's.
        host = health.host or bracketed(state.listen[0])
        yield "option httpchk"
        yield f"http-check send meth GET uri {health.path} ver HTTP/1.1 hdr Host {host} hdr Connection close"
        yield f"http-check expect status {health.status}"
    elif asked.check:
        yield from _published_check(asked.check)


def _published_check(check: Check) -> Iterator[str]:
    if kind := _KINDS.get(check.kind):
        user = {"mysql": "user ", "postgres": "user "}.get(check.kind, "") + check.user if check.user else ""
        yield f"option {kind} {user}".strip()
    elif check.send or check.expect:
        yield "option tcp-check"
        # As numbers, so that no character of it means anything to HAProxy.
        if check.send:
            yield f"tcp-check send-binary {check.send.encode().hex()}"
        if check.expect:
            yield f"tcp-check expect binary {check.expect.encode().hex()}"


def _options(state: State, asked: Asked, place: int) -> Iterator[str]:
    """Yield what is said of one server; `place` is its place in the order."""
    route, check = asked.route, asked.check
    yield "check"
    if route.health.path and route.health.tls:
        yield f"check-ssl verify required ca-file {state.ca}" if state.ca else "check-ssl verify none"
    if route.health.port:
        yield f"port {route.health.port}"
    if check:
        yield f"inter {check.interval}s rise {check.rise} fall {check.fall}"
    if route.single:
        yield "on-marked-down shutdown-sessions"
        yield "backup" if place else f"rise {_RISE_OF_SINGLE} on-marked-up shutdown-backup-sessions"
    if asked.server_connections:
        yield f"maxconn {asked.server_connections}"
    if route.proxy_protocol:
        # What is asked for its health at a port of its own is another program.
        yield "send-proxy-v2" if route.health.port else "send-proxy-v2 check-send-proxy"
