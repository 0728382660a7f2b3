"""Where clients reach an API: at the gateway, or else at its first unit; and what is asked for that of `gateway` and `certificates`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from openinfra_charm.daemon.tls import Subject
from openinfra_charm.interfaces import haproxy_route_tcp
from openinfra_charm.model import addresses
from openinfra_charm.openstack.api import HEALTH
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    import ops

    from openinfra_charm.daemon.front import Front
    from openinfra_charm.daemon.tls import Certificate
    from openinfra_charm.machine import Machine
    from openinfra_charm.model.addresses import Place
    from openinfra_charm.model.cluster import Cluster
    from openinfra_charm.openstack.spec import Ports


class Entrance:
    """The way to the API of one application, seen from one of its units.

    The units' facts, in the peer relation: `address` and `ingress`, where the unit is; `takes_proxied`, that its front takes connections
    that begin with the client's address.

    A service without an API (`ports` is None) has no more of it than the unit's address and certificate.
    """

    def __init__(self, model: ops.Model, machine: Machine, cluster: Cluster, ports: Ports | None) -> None:
        self._model = model
        self._machine = machine
        self._cluster = cluster
        self._ports = ports
        self._gateway = model.get_relation("gateway") if ports else None
        self.certificates = model.get_relation("certificates")
        """The relation."""

    @cached_property
    def place(self) -> Place | None:
        """Where this unit is, as the gateway sees it, or all clients where there is none; None while Juju does not say."""
        found = addresses.Addresses(self._model, self._machine, self._model.app.name)
        return found.find("internal", relation=self._gateway)

    @property
    def others(self) -> tuple[str, ...]:
        """The addresses of the other units, as far as they have published them."""
        me = self._model.unit.name
        facts = (self._cluster.facts(unit) for unit in self._cluster.units if unit != me)
        return tuple(one["address"] for one in facts if "address" in one)

    @property
    def sources(self) -> tuple[str, ...]:
        """The addresses from which a gateway connects, for its clients."""
        return haproxy_route_tcp.read_sources(self._gateway)

    @property
    def served(self) -> tuple[str, ...]:
        """Where the gateway serves the API, as `host:port`; nothing without one."""
        return haproxy_route_tcp.read_endpoints(self._active)

    @property
    def url(self) -> str:
        """Where clients reach the API, without a path: at the gateway, else at the first unit."""
        if self._ports is None:
            return ""
        facts = [facts for unit in self._cluster.units if "address" in (facts := self._cluster.facts(unit))]
        first = facts[0].get("ingress", facts[0]["address"]) if facts else ""
        direct = f"{bracketed(first)}:{self._ports.backend}"
        return f"https://{self.served[0] if self.served else direct}"

    @property
    def internal_url(self) -> str:
        """Where services reach it: at the gateway's address in their network, if it has one there."""
        inner = haproxy_route_tcp.read_internal(self._active)
        return f"https://{inner[0]}" if inner else self.url

    @property
    def _active(self) -> ops.Relation | None:
        """The gateway's relation unless it is about to end."""
        return self._gateway if self._gateway and self._gateway.active else None

    def ask(self, front: Front, tls: Certificate) -> None:
        """Publish where this unit is, and ask for a route to it and for a certificate of all names that clients use."""
        if self.place:
            self._cluster.publish(address=self.place.address, ingress=self.place.ingress)
        if self._ports and front.takes_proxied:
            self._cluster.publish(takes_proxied=True)
        if self._ports and self._gateway and self._model.unit.is_leader():
            route = self._route(self._gateway, self._ports)
            haproxy_route_tcp.request(self._gateway, self._model.app, route)
        if self.certificates and self.place:
            tls.update(self.certificates, self._model.unit, self._subject(self.place))

    def offer(self) -> None:
        """Have the gateway send requests here, now that the API answers."""
        if self._gateway and self.place:
            haproxy_route_tcp.publish_address(self._gateway, self._model.unit, self.place.ingress)

    def _route(self, gateway: ops.Relation, ports: Ports) -> haproxy_route_tcp.Route:
        ready = all("takes_proxied" in self._cluster.facts(unit) for unit in self._cluster.units)
        proxied = haproxy_route_tcp.asks_for_proxy_protocol(gateway, self._model.app, ready=ready)
        return haproxy_route_tcp.Route(
            port=ports.public,
            backend_port=ports.proxied if proxied else ports.backend,
            health=haproxy_route_tcp.Health(path=HEALTH),
            proxy_protocol=proxied,
        )

    def _subject(self, place: Place) -> Subject:
        """Return all names under which clients reach this unit, directly and through the gateway."""
        served = haproxy_route_tcp.read_hosts(self._active)
        return Subject.of(self._machine.hostname(), (*place.hosts, *served))
