"""Where clients reach an API: at the gateway, or else at its first unit; and what is asked for that of `gateway` and `certificates`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from openinfra_charm.daemon.tls import Subject
from openinfra_charm.interfaces import haproxy_route_tcp
from openinfra_charm.model import addresses
from openinfra_charm.openstack.api import HEALTH
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ops

    from openinfra_charm.daemon.front import Front
    from openinfra_charm.daemon.tls import Certificate
    from openinfra_charm.machine import Machine
    from openinfra_charm.model.addresses import Place
    from openinfra_charm.model.cluster import Cluster
    from openinfra_charm.openstack.spec import Ports, Spec


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """How clients reach one port of an application: at the gateway (`public`), by its endpoint, and at each unit (`backend`).

    `proxied` is where units take connections from the gateway that begin with the client's address; 0: they take none.
    """

    endpoint: str
    public: int
    backend: int
    proxied: int = 0
    health: str = HEALTH
    timeout: int = 0
    internal: bool = False

    @classmethod
    def of(cls, ports: Ports, endpoint: str = "gateway", *, internal: bool = False) -> Way:
        """Return the way to an API."""
        return cls(
            endpoint=endpoint,
            public=ports.public,
            backend=ports.backend,
            proxied=ports.proxied,
            internal=internal,
        )


def ways(spec: Spec) -> dict[str, Way]:
    """Return the ways to what a service has besides its first API, by name."""
    apis = {one.name: Way.of(one.ports, f"gateway-{one.name}", internal=one.internal) for one in spec.apis}
    processes = {
        process.name: Way(
            endpoint=f"gateway-{process.name}",
            public=own.public,
            backend=own.backend,
            health=own.health,
            timeout=own.timeout,
        )
        for process in spec.processes
        if (own := process.listener)
    }
    return {**apis, **processes}


class Door:
    """One port of an application and the way to it, seen from one of its units."""

    def __init__(self, model: ops.Model, cluster: Cluster, way: Way) -> None:
        self._model = model
        self._cluster = cluster
        self._way = way
        self.gateway = model.get_relation(way.endpoint)
        """The relation with the gateway."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The addresses from which a gateway connects, for its clients."""
        return haproxy_route_tcp.read_sources(self.gateway)

    @property
    def served(self) -> tuple[str, ...]:
        """Where the gateway serves it, as `host:port`; nothing without one."""
        return haproxy_route_tcp.read_endpoints(self._active)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of all places where the gateway serves it."""
        return haproxy_route_tcp.read_hosts(self._active)

    @property
    def url(self) -> str:
        """Where clients reach it, without a path: at the gateway, else at the first unit."""
        facts = [facts for unit in self._cluster.units if "address" in (facts := self._cluster.facts(unit))]
        first = facts[0].get("ingress", facts[0]["address"]) if facts else ""
        direct = f"{bracketed(first)}:{self._way.backend}"
        return f"https://{self.served[0] if self.served else direct}"

    @property
    def internal_url(self) -> str:
        """Where services reach it: at the gateway's address in their network, if it has one there."""
        inner = haproxy_route_tcp.read_internal(self._active)
        return f"https://{inner[0]}" if inner else self.url

    @property
    def _active(self) -> ops.Relation | None:
        """The gateway's relation unless it is about to end."""
        return self.gateway if self.gateway and self.gateway.active else None

    def ask(self) -> None:
        """As the leader, ask for the route."""
        if self.gateway and self._model.unit.is_leader():
            haproxy_route_tcp.request(self.gateway, self._model.app, self._route(self.gateway))

    def offer(self, place: Place) -> None:
        """Have the gateway send requests here."""
        if self.gateway:
            haproxy_route_tcp.publish_address(self.gateway, self._model.unit, place.ingress)

    def _route(self, gateway: ops.Relation) -> haproxy_route_tcp.Route:
        way, proxied = self._way, False
        if way.proxied:
            ready = all("takes_proxied" in self._cluster.facts(unit) for unit in self._cluster.units)
            proxied = haproxy_route_tcp.asks_for_proxy_protocol(gateway, self._model.app, ready=ready)
        return haproxy_route_tcp.Route(
            port=way.public,
            backend_port=way.proxied if proxied else way.backend,
            health=haproxy_route_tcp.Health(path=way.health),
            proxy_protocol=proxied,
            timeout=way.timeout,
            internal=way.internal,
        )


class Entrance:
    """The way to the API of one application, seen from one of its units.

    The units' facts, in the peer relation: `address` and `ingress`, where the unit is; `takes_proxied`, that its front takes connections
    that begin with the client's address.

    A service without an API (`ports` is None) has no more of it than the unit's address and certificate.
    """

    def __init__(
        self,
        model: ops.Model,
        machine: Machine,
        cluster: Cluster,
        ports: Ports | None,
        further: Mapping[str, Way] = MappingProxyType({}),
    ) -> None:
        """Name whose entrance it is.

        Args:
            model: The model.
            machine: The machine.
            cluster: The units.
            ports: Those of the API.
            further: The ways to what else the service has, by name.
        """
        self._model = model
        self._machine = machine
        self._cluster = cluster
        self._first = Door(model, cluster, Way.of(ports)) if ports else None
        self.further = {name: Door(model, cluster, way) for name, way in further.items()}
        """What the service has besides its first API, by name."""
        self.certificates = model.get_relation("certificates")
        """The relation."""

    @cached_property
    def place(self) -> Place | None:
        """Where this unit is, as the gateway sees it, or all clients where there is none; None while Juju does not say."""
        found = addresses.Addresses(self._model, self._machine, self._model.app.name)
        return found.find("internal", relation=self._first.gateway if self._first else None)

    @property
    def others(self) -> tuple[str, ...]:
        """The addresses of the other units, as far as they have published them."""
        me = self._model.unit.name
        facts = (self._cluster.facts(unit) for unit in self._cluster.units if unit != me)
        return tuple(one["address"] for one in facts if "address" in one)

    @property
    def sources(self) -> tuple[str, ...]:
        """The addresses from which a gateway connects, for its clients."""
        return self._first.sources if self._first else ()

    @property
    def served(self) -> tuple[str, ...]:
        """Where the gateway serves the API, as `host:port`; nothing without one."""
        return self._first.served if self._first else ()

    @property
    def url(self) -> str:
        """Where clients reach the API, without a path: at the gateway, else at the first unit."""
        return self._first.url if self._first else ""

    @property
    def internal_url(self) -> str:
        """Where services reach it: at the gateway's address in their network, if it has one there."""
        return self._first.internal_url if self._first else ""

    def ask(self, fronts: Iterable[Front], tls: Certificate) -> None:
        """Publish where this unit is, and ask for routes to it and for a certificate of all names that clients use."""
        if self.place:
            self._cluster.publish(address=self.place.address, ingress=self.place.ingress)
        if self._first and all(front.takes_proxied for front in fronts):
            self._cluster.publish(takes_proxied=True)
        for door in self._doors:
            door.ask()
        if self.certificates and self.place:
            subject = Subject.of(self._machine.hostname(), self.hosts)
            tls.update(self.certificates, self._model.unit, subject)

    def offer(self) -> None:
        """Have the gateway send requests here, now that the API answers."""
        if self.place:
            for door in self._doors:
                door.offer(self.place)

    @property
    def _doors(self) -> list[Door]:
        return [*([self._first] if self._first else []), *self.further.values()]

    @property
    def hosts(self) -> tuple[str, ...]:
        """All hosts under which clients reach this unit, directly and through the gateway."""
        place = self.place.hosts if self.place else ()
        served = (host for door in self._doors for host in door.hosts)
        return tuple(dict.fromkeys((*place, *served)))
