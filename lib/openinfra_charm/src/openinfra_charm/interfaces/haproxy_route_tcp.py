"""The `haproxy-route-tcp` interface: a port at the gateway for an application that listens on its units.

The wire format is that of Canonical's library `charms.haproxy.v1.haproxy_route_tcp` (charm `haproxy`); each value is JSON.

- The requirer's leader, in its application data: `port`, `backend_port` and, where it differs from the default, `sni`,
  `hosts`, `check`, `load_balancing`, `rate_limit`, `bandwidth_limit`, `retry`, `timeout`, `server_maxconn`,
  `ip_deny_list`, `enforce_tls` (true), `tls_terminate` (true), `proxy_protocol` (false), `port_mapping`.
- Each unit of the requirer, in its unit data: `address`.
- The provider's leader, in its application data: `endpoints`, a list of `host:port`; ours beside it `internal-endpoints`, a list
  of the same kind, where services have another network than clients.

- Each unit of the provider, in its unit data, ours only: `sources`, a list of the addresses that it connects from.

Ours is the requirer's `openinfra`, which the published library passes over: `{health, single, order, internal}`, where `health` is
`{path, status, port, tls, host}`. Beside it our requirer says `check` in the published form (a TCP connection), and that TLS
is neither ended nor demanded at the gateway: each backend ends its own and takes nothing else.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from openinfra_charm.model import databag
from openinfra_charm.model.cluster import unit_number
from openinfra_charm.values import is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import ops

CHECK_KINDS = ("generic", "mysql", "postgres", "redis", "smtp")
BALANCES = ("leastconn", "source", "roundrobin")
RATE_POLICIES = ("reject", "silent-drop")
_OURS = "openinfra"
_LAST_PORT = 65535
_STATUSES = (100, 599)
_NAME = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.IGNORECASE)
_PATH = re.compile(r"/[A-Za-z0-9._~!&()*+,;=:@%/?-]*")
_USER = re.compile(r"[A-Za-z0-9._@-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """What a healthy backend answers: `status` to an HTTPS request for `path`; without a path, a TCP connection."""

    path: str = ""
    status: int = 200
    port: int = 0
    """Where to ask; 0: the backend port."""
    tls: bool = True
    host: str = ""
    """The name that the request is for, as the backend expects it; empty: the address at which the route is served."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A port at the gateway and what is behind it.

    A `single` route's sessions go to one backend at a time, the first healthy one in `order` (addresses; empty: by
    unit), and are cut when it is down. `timeout` are seconds without traffic after which a session ends; 0: the gateway's
    own.
    """

    port: int
    backend_port: int
    health: Health = Health()
    single: bool = False
    order: tuple[str, ...] = ()
    timeout: int = 0
    proxy_protocol: bool = False
    """Whether each connection begins with the client's address (PROXY protocol, version 2)."""
    internal: bool = False
    """Whether it is for services only, where these have another network than clients."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """A server behind a route: the unit's name (for a published requirer's `hosts`, their address) and its address."""

    name: str
    address: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A published requirer's health check; `interval` in seconds."""

    interval: int
    rise: int
    fall: int
    kind: str = ""
    send: str = ""
    expect: str = ""
    user: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A requirer's route as the provider sees it: ours, and what only the published format has.

    Seconds, connections per minute, bytes per second and counts are 0 where it does not say.
    """

    relation_id: int
    application: str
    route: Route
    backends: tuple[Backend, ...]
    sni: str = ""
    check: Check | None = None
    """What a published requirer checks; ours says more in `route.health`, and None here."""
    balance: str = ""
    consistent: bool = False
    rate: int = 0
    rate_policy: str = "reject"
    bandwidth: bool = False
    """Whether it asks for a limit of bytes per second."""
    retries: int = 0
    redispatch: bool = False
    connect_timeout: int = 0
    queue_timeout: int = 0
    server_connections: int = 0
    deny: tuple[str, ...] = ()
    enforce_tls: bool = True
    terminate_tls: bool = True


class InvalidRouteError(ValueError):
    """A requirer's data that cannot be a route; the message names what and why."""


# The requirer


def request(relation: ops.Relation, application: ops.Application, route: Route) -> None:
    """As the requirer's leader, ask for a route."""
    # The gateway decides how often it asks; a published provider gets the same pace.
    check = {"interval": 2, "rise": 2, "fall": 3, "check_type": "generic"}
    seconds = {"server": route.timeout, "connect": None, "queue": None} if route.timeout else None
    # A name that is not given is left out: what other charms have asked for so far reads as before.
    health = {key: value for key, value in asdict(route.health).items() if value or key != "host"}
    ours = {"health": health, "single": route.single, "order": list(route.order)}
    if route.internal:
        ours["internal"] = True
    for key, value in (
        ("port", route.port),
        ("backend_port", route.backend_port),
        ("check", check),
        ("timeout", seconds),
        ("enforce_tls", False),
        ("tls_terminate", False),
        ("proxy_protocol", route.proxy_protocol or None),
        (_OURS, ours),
    ):
        databag.put(
            relation.data[application], key, "" if value is None else json.dumps(value, sort_keys=True)
        )


def publish_address(relation: ops.Relation, unit: ops.Unit, address: str) -> None:
    """As a unit of the requirer, say where it listens."""
    databag.put(relation.data[unit], "address", json.dumps(address))


def read_endpoints(relation: ops.Relation | None) -> tuple[str, ...]:
    """As the requirer, return where the gateway serves the route, each `host:port`; nothing until it does, or without one."""
    return _places(relation, "endpoints")


def read_internal(relation: ops.Relation | None) -> tuple[str, ...]:
    """As the requirer, return where services reach the route among themselves, which may be where all do."""
    return _places(relation, "internal-endpoints") or _places(relation, "endpoints")


def read_hosts(relation: ops.Relation | None) -> tuple[str, ...]:
    """As the requirer, return the hosts of all places where the route is served: what certificates have to name."""
    return hosts((*read_endpoints(relation), *read_internal(relation)))


def _places(relation: ops.Relation | None, key: str) -> tuple[str, ...]:
    found: list[object] = databag.load(relation.data[relation.app].get(key, "") if relation else "", list)
    return tuple(one for one in found if isinstance(one, str) and databag.ENDPOINT.fits(one))


def read_sources(relation: ops.Relation | None) -> tuple[str, ...]:
    """As the requirer, return from which addresses the gateway's units connect, sorted; none of a published provider's.

    Where Juju names another network that a unit's connections come from (`egress-subnets`), it is among them. Who connects from
    there may say for whom, with the PROXY protocol. Nobody else may.
    """
    found: set[str] = set()
    for data in (relation.data[unit] for unit in relation.units) if relation else ():
        own = [one for one in databag.load(data.get("sources", ""), list) if isinstance(one, str)]
        if addresses := set(filter(is_address, own)):
            # By default it is the ingress address, which may be a virtual one.
            others = {one.strip() for one in data.get("egress-subnets", "").split(",")}
            known = addresses | set(read_hosts(relation))
            found |= addresses | {one for one in others if one and one.partition("/")[0] not in known}
    return tuple(sorted(found))


def asks_for_proxy_protocol(relation: ops.Relation, application: ops.Application, *, ready: bool) -> bool:
    """As the requirer's leader, return whether the route is to begin with the client's address.

    So it is as soon as all units take such connections (`ready`) from a gateway of ours, and then it stays so: a unit
    that is new is down for the gateway's check until it does.
    """
    asked = relation.data[application].get("proxy_protocol") == "true"
    return bool(read_sources(relation)) and (asked or ready)


def hosts(endpoints: Iterable[str]) -> tuple[str, ...]:
    """Return the hosts of endpoints, each once, IPv6 addresses without brackets: what certificates have to name."""
    return tuple(dict.fromkeys(one.rpartition(":")[0].strip("[]") for one in endpoints))


# The provider


def read_routes(relations: Iterable[ops.Relation]) -> tuple[list[Asked], list[str]]:
    """Return the routes that requirers ask for, by relation, and what is wrong with the others, for a status.

    A requirer that has not named a port yet asks for nothing.
    """
    found, problems = databag.read_each(sorted(relations, key=lambda relation: relation.id), _read_route)
    return list(found.values()), problems


def _read_route(relation: ops.Relation) -> Asked | None:
    data = relation.data[relation.app]
    if not (data.get("port") or data.get("port_mapping")):
        return None
    try:
        return _asked(relation, _Values(data))
    except InvalidRouteError as error:
        why = f"{relation.app.name} asks for a route that cannot be: {error}"
        raise databag.RelationError(why) from error


def publish_endpoints(
    relation: ops.Relation,
    application: ops.Application,
    endpoints: Iterable[str],
    internal: Iterable[str] = (),
) -> None:
    """As the provider's leader, say where a route is served, each `host:port`; nothing takes it back.

    `internal` is where services reach it among themselves, as far as that is another place.
    """
    for key, places in (("endpoints", endpoints), ("internal-endpoints", internal)):
        served = list(places)
        databag.put(relation.data[application], key, json.dumps(served) if served else "")


def publish_sources(relation: ops.Relation, unit: ops.Unit, addresses: Iterable[str]) -> None:
    """As a unit of the provider, say from which addresses it connects to backends."""
    databag.put(relation.data[unit], "sources", json.dumps(sorted(set(addresses))))


class _Values:
    """A databag or an object in it, read with care: what is missing or null is the default."""

    def __init__(self, data: Mapping[str, Any], *, of: str = "") -> None:
        self._data = data
        self._prefix = f"{of}." if of else ""
        self._encoded = not of

    def get(self, key: str) -> Any:
        value = self._data.get(key)
        if not self._encoded or value is None:
            return value
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            raise InvalidRouteError(f"{key}={value} is not JSON") from None

    def _take(self, key: str, default: Any, fits: Callable[[Any], object], why_not: str) -> Any:
        value = self.get(key)
        if value is None:
            return default
        if not fits(value):
            raise InvalidRouteError(f"{self._prefix}{key}={value!r} {why_not}")
        return value

    def number(self, key: str, least: int, most: int | None = None, *, default: int = 0) -> int:
        limits = f"{least} to {most}" if most is not None else f"at least {least}"

        def fits(value: Any) -> bool:
            return type(value) is int and value >= least and (most is None or value <= most)

        return self._take(key, default, fits, f"is not a whole number, {limits}")

    def flag(self, key: str, *, default: bool) -> bool:
        return self._take(key, default, lambda one: isinstance(one, bool), "is neither true nor false")

    def text(self, key: str, form: re.Pattern[str]) -> str:
        def fits(value: Any) -> bool:
            return isinstance(value, str) and (not value or form.fullmatch(value) is not None)

        return self._take(key, "", fits, "has characters that it must not have")

    def choice(self, key: str, allowed: tuple[str, ...], *, default: str = "") -> str:
        return self._take(key, default, allowed.__contains__, f"is none of {', '.join(allowed)}")

    def addresses(self, key: str) -> tuple[str, ...]:
        found = self._take(key, [], lambda one: isinstance(one, list), "is not a list of addresses")
        return tuple(_address(one, self._prefix + key) for one in found)

    def part(self, key: str) -> _Values:
        return _Values(self._take(key, {}, lambda one: isinstance(one, dict), "is not an object"), of=key)

    def __bool__(self) -> bool:
        return bool(self._data)


def _asked(relation: ops.Relation, data: _Values) -> Asked:
    if data.get("port_mapping") is not None:
        raise InvalidRouteError("port_mapping, a range of ports: ask for one port with each relation")
    port = data.number("port", 1, _LAST_PORT)
    ours, limit, retry, seconds = (data.part(key) for key in (_OURS, "rate_limit", "retry", "timeout"))
    health, balancing = ours.part("health"), data.part("load_balancing")
    route = Route(
        port=port,
        backend_port=data.number("backend_port", 1, _LAST_PORT, default=port),
        health=Health(
            path=health.text("path", _PATH),
            status=health.number("status", *_STATUSES, default=200),
            port=health.number("port", 0, _LAST_PORT),
            tls=health.flag("tls", default=True),
            host=health.text("host", _NAME).lower(),
        ),
        single=ours.flag("single", default=False),
        order=ours.addresses("order"),
        timeout=seconds.number("server", 1),
        proxy_protocol=data.flag("proxy_protocol", default=False),
        internal=ours.flag("internal", default=False),
    )
    return Asked(
        relation_id=relation.id,
        application=relation.app.name,
        route=route,
        backends=_backends(relation, data.addresses("hosts"), route.order),
        sni=data.text("sni", _NAME).lower(),
        check=None if ours else _check(data.part("check")),
        balance=balancing.choice("algorithm", BALANCES),
        consistent=balancing.flag("consistent_hashing", default=False),
        rate=limit.number("connections_per_minute", 1),
        rate_policy=limit.choice("policy", RATE_POLICIES, default="reject"),
        bandwidth=bool(data.part("bandwidth_limit")),
        retries=retry.number("count", 0),
        redispatch=retry.flag("redispatch", default=False),
        connect_timeout=seconds.number("connect", 1),
        queue_timeout=seconds.number("queue", 1),
        server_connections=data.number("server_maxconn", 1),
        deny=data.addresses("ip_deny_list"),
        enforce_tls=data.flag("enforce_tls", default=True),
        terminate_tls=data.flag("tls_terminate", default=True),
    )


def _check(data: _Values) -> Check | None:
    if not data:
        return None
    return Check(
        interval=data.number("interval", 1, default=2),
        rise=data.number("rise", 1, default=2),
        fall=data.number("fall", 1, default=3),
        kind=data.choice("check_type", CHECK_KINDS),
        send=data.text("send", re.compile(r"[^\x00]*", re.DOTALL)),
        expect=data.text("expect", re.compile(r"[^\x00]*", re.DOTALL)),
        user=data.text("db_user", _USER),
    )


def _backends(relation: ops.Relation, named: tuple[str, ...], order: tuple[str, ...]) -> tuple[Backend, ...]:
    """Return the hosts that are named, or else the units, by number; first those that `order` names."""
    found = [Backend(name=address, address=address) for address in dict.fromkeys(named)]
    if not found:
        units = sorted(relation.units, key=lambda unit: unit_number(unit.name))
        found = [
            Backend(name=unit.name, address=_address(address, f"address of {unit.name}"))
            for unit in units
            if (address := _Values(relation.data[unit]).get("address"))
        ]
    places = {address: place for place, address in enumerate(order)}
    return tuple(sorted(found, key=lambda backend: places.get(backend.address, len(places))))


def _address(value: object, what: str) -> str:
    try:
        return str(ipaddress.ip_address(cast("str", value)))
    except ValueError:
        raise InvalidRouteError(f"{what}: {value!r} is not an IP address") from None
