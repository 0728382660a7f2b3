"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.options import whole
from openinfra_charm.model.status import ConfigError
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openinfra_charm.interfaces.haproxy_route_tcp import Asked
    from openinfra_charm.model.addresses import Place

HEALTH_PORT = 8404
"""Where HAProxy serves its own health, on the loopback address, and its metrics, on that of the binding `internal`."""
_HOST_NAME = re.compile(
    r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.IGNORECASE
)
_ROUTERS = (1, 255)
_CONNECTIONS = (100, 1_000_000)
_SHORTEST_SESSION = 10
_LONGEST_NAME = 253

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """What the operator wants. `vips` are virtual addresses with their prefixes; the timeout is in seconds."""

    vips: tuple[Address, ...]
    public_hostname: str
    virtual_router_id: int
    connection_limit: int
    session_timeout: int

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Config:
        """Read the charm's options.

        Raises:
            ConfigError: An option's value cannot be used.
        """
        host = options["public-hostname"].strip()
        if host and (not _HOST_NAME.fullmatch(host) or len(host) > _LONGEST_NAME):
            raise ConfigError("public-hostname", host, "a host name, such as cloud.example.com")
        return cls(
            vips=tuple(_vips(options["vip"])),
            public_hostname=host.lower(),
            virtual_router_id=whole(options, "virtual-router-id", *_ROUTERS),
            connection_limit=whole(options, "connection-limit", *_CONNECTIONS),
            session_timeout=whole(options, "session-timeout", _SHORTEST_SESSION),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Networks:
    """The networks of both bindings: clients are in `public`, services among themselves in `internal`; it may be one."""

    public: Place
    internal: Place

    def check(self, config: Config) -> None:
        """Check that the virtual addresses are in a network of the bindings.

        Raises:
            ConfigError: One of them is not.
        """
        for vip in config.vips:
            if not (self.public.has(vip.ip) or self.internal.has(vip.ip)):
                there = ", ".join(dict.fromkeys((*self.public.subnets, *self.internal.subnets)))
                raise ConfigError(
                    "vip",
                    str(vip),
                    f"an address in a network of the bindings public and internal ({there}) that nobody else has",
                )
            if str(vip.ip) in {self.public.address, self.internal.address}:
                raise ConfigError("vip", str(vip), "an address of no machine; it is that of this unit")

    def inner(self, config: Config) -> tuple[Address, ...]:
        """Return the virtual addresses that are for services among themselves."""
        return tuple(vip for vip in config.vips if not self.public.has(vip.ip))

    def outer(self, config: Config) -> tuple[Address, ...]:
        """Return the virtual addresses that are for clients: all, where none is in their network."""
        inner = self.inner(config)
        return tuple(vip for vip in config.vips if vip not in inner) or config.vips

    def interface(self, vip: Address) -> str:
        """Return the interface that a virtual address is on."""
        inside = self.internal.has(vip.ip) and not self.public.has(vip.ip)
        return (self.internal if inside else self.public).interface

    def listen(self, config: Config) -> tuple[str, ...]:
        """Return the addresses at which this unit serves routes."""
        return tuple(str(vip.ip) for vip in config.vips) or self.own

    def listen_inside(self, config: Config) -> tuple[str, ...]:
        """Return the addresses at which this unit serves routes that are for services only."""
        if config.vips:
            return tuple(str(vip.ip) for vip in self.inner(config)) or self.listen(config)
        return (self.internal.address,)

    @property
    def own(self) -> tuple[str, ...]:
        """The unit's own addresses."""
        return tuple(dict.fromkeys((self.public.address, self.internal.address)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Units:
    """Where all units are that have published it, each in their order; `ingress` is where clients reach what is on `public`."""

    public: tuple[str, ...]
    ingress: tuple[str, ...]
    internal: tuple[str, ...]

    @classmethod
    def parse(cls, published: Iterable[Mapping[str, Any]]) -> Units:
        """Read what the units have published."""
        known = [facts for facts in published if "public_address" in facts]
        return cls(
            public=tuple(facts["public_address"] for facts in known),
            ingress=tuple(facts.get("public_ingress", facts["public_address"]) for facts in known),
            internal=tuple(facts["internal_address"] for facts in known),
        )

    @property
    def only_internal(self) -> tuple[str, ...]:
        """The internal addresses that are not public too."""
        return tuple(one for one in self.internal if one not in self.public)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A route that is not served, and why."""

    asked: Asked
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Drain:
    """A backend (a unit's name or an address) that gets no new connections; of one route, or with none of all."""

    backend: str
    route: str = ""

    def covers(self, asked: Asked, backend: str) -> bool:
        """Return whether it is about this backend of a route."""
        return self.backend == backend and self.route in {"", name(asked)}


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything that decides what runs on this machine.

    `peers` are the public addresses of the application's other units; `unit` is this one's name. `ca` is the file of CA
    certificates that backends' certificates are checked with, `certificate` that of chain and key for the metrics; empty
    where there is none. `certificates` is another text when their content has changed.
    """

    config: Config
    unit: str
    networks: Networks
    peers: tuple[str, ...]
    routes: tuple[Asked, ...]
    ca: str = ""
    certificate: str = ""
    certificates: str = ""

    @property
    def listen(self) -> tuple[str, ...]:
        """The addresses at which routes are served."""
        return self.networks.listen(self.config)

    def without(self, refused: Iterable[Refusal]) -> State:
        """Return it without the routes that are refused."""
        gone = {refusal.asked.relation_id for refusal in refused}
        left = tuple(asked for asked in self.routes if asked.relation_id not in gone)
        return dataclasses.replace(self, routes=left)


def name(asked: Asked) -> str:
    """Return a route's name, which is that of HAProxy's backend."""
    sni = f"-{asked.sni.replace('*', '_')}" if asked.sni else ""
    return f"{asked.application}-{asked.route.port}{sni}"


def select(asked: Iterable[Asked]) -> tuple[tuple[Asked, ...], tuple[Refusal, ...]]:
    """Return the routes that can be served, and the others: of two that want the same, the first one keeps it."""
    served: list[Asked] = []
    refused: list[Refusal] = []
    taken: defaultdict[int, dict[str, Asked]] = defaultdict(dict)
    for one in sorted(asked, key=lambda one: one.relation_id):
        if reason := _why_not(one, taken[one.route.port]):
            refused.append(Refusal(asked=one, reason=reason))
        else:
            taken[one.route.port][one.sni] = one
            served.append(one)
    return tuple(served), tuple(refused)


def endpoints(asked: Asked, config: Config, vips: Iterable[Address], addresses: Iterable[str]) -> list[str]:
    """Return where clients reach a route, as it is published to its requirer.

    Args:
        asked: The route.
        config: The options.
        vips: The virtual addresses that are for clients.
        addresses: The public addresses of all units, which count where there is no virtual one.
    """
    port = asked.route.port
    if asked.sni:
        return [f"{asked.sni}:{port}"]
    if config.public_hostname:
        return [f"{config.public_hostname}:{port}"]
    return _places(port, vips, addresses)


def endpoints_inside(asked: Asked, config: Config, networks: Networks, internal: Iterable[str]) -> list[str]:
    """Return where services reach a route that is for them only.

    Args:
        asked: The route.
        config: The options.
        networks: Those of this unit.
        internal: The internal addresses of all units, which count where there is no virtual one.
    """
    return _places(asked.route.port, networks.inner(config) or config.vips, internal)


def inner_endpoints(
    asked: Asked, config: Config, networks: Networks, *, public: Iterable[str], internal: Iterable[str]
) -> list[str]:
    """Return where services reach a route among themselves, as far as that is another place than clients'.

    They do without the public name: the cloud itself is not to depend on name servers.

    Args:
        asked: The route.
        config: The options.
        networks: Those of this unit.
        public: The public addresses of all units, which count where there is no virtual one, as do the next.
        internal: Their internal addresses that are not public.
    """
    if asked.sni:
        return []
    inner = _places(asked.route.port, networks.inner(config), () if config.vips else internal)
    return inner or (_places(asked.route.port, config.vips, public) if config.public_hostname else [])


def _places(port: int, vips: Iterable[Address], addresses: Iterable[str]) -> list[str]:
    return [f"{bracketed(one)}:{port}" for one in [str(vip.ip) for vip in vips] or addresses]


def not_honoured(asked: Asked) -> list[str]:
    """Return what a published requirer asks for that this gateway does not do, though it serves the route."""
    return ["bandwidth_limit"] if asked.bandwidth else []


def digest(*texts: str) -> str:
    """Return a short text that is another one for other texts; empty for none."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16] if any(texts) else ""


def _why_not(asked: Asked, taken: Mapping[str, Asked]) -> str:
    port = asked.route.port
    if asked.terminate_tls:
        return f"{asked.application} wants the gateway to end TLS on port {port}; it passes TLS on: tls_terminate=false"
    if port == HEALTH_PORT:
        return f"port {port} is that of the gateway's own metrics: {asked.application} has to ask for another one"
    other = taken.get(asked.sni)
    if other is None:
        return ""
    if other.application == asked.application:
        remedy = f"have {asked.application} ask once"
    else:
        remedy = "give one another port or an sni, or remove one of the relations"
    what = f"port {port}" + (f" with the sni {asked.sni}" if asked.sni else "")
    return (
        f"{other.application} and {asked.application} want {what}, which {other.application} keeps: {remedy}"
    )


def _vips(text: str) -> Iterable[Address]:
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            yield ipaddress.ip_interface(part)
        except ValueError:
            raise ConfigError("vip", text, "addresses, separated by commas, such as 10.0.0.100") from None
