"""Where clients reach the object gateway: its names, its route, its place in the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from openinfra_charm.daemon.tls import Subject
from openinfra_charm.interfaces import haproxy_route_tcp, keystone
from openinfra_charm.interfaces.haproxy_route_tcp import Health, Route
from openinfra_charm.model.cluster import unit_number
from openinfra_charm.values import bracketed, is_address
from state import LISTENS_ON, PROXIED_PORT

if TYPE_CHECKING:
    import ops

    from openinfra_charm.model.addresses import Place
    from openinfra_charm.model.cluster import Cluster
    from state import Settings

SERVED_AT = 7480
"""The well-known port, at the gateway."""
SERVICES = (
    ("swift", "object-store", "Object storage (Swift)", "/swift/v1/AUTH_%(project_id)s"),
    ("s3", "s3", "Object storage (S3)", ""),
)
"""What the catalogue has of it: name, type, description, and the path of its URLs."""


@dataclass
class Endpoints:
    """The endpoints of one application, as one of its units knows them and publishes them."""

    unit: ops.Unit
    cluster: Cluster
    settings: Settings
    place: Place
    """Where this unit is, as the gateway sees it, or all clients where there is none."""
    gateway: ops.Relation | None
    identity: ops.Relation | None
    """The relation to Keystone."""

    # What the gateway says

    @property
    def sources(self) -> tuple[str, ...]:
        """The addresses from which a gateway connects, for its clients."""
        return haproxy_route_tcp.read_sources(self.gateway)

    @cached_property
    def _gateway_hosts(self) -> tuple[str, ...]:
        return haproxy_route_tcp.read_hosts(self.gateway)

    # Names

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names and addresses under which clients reach this unit, directly and through the gateway."""
        public = self.settings.public_hostname
        return (*self.place.hosts, *self._gateway_hosts, *((public,) if public else ()))

    def subject(self, machine: str) -> Subject:
        """Return whom this unit's certificate is for: all names and addresses under which clients reach it.

        Args:
            machine: The machine's host name.
        """
        public = self.settings.public_hostname
        # For buckets as a part of the name.
        below = (f"*.{public}",) if public else ()
        return Subject.of(machine, (*self.hosts, *below))

    @property
    def host_names(self) -> list[str]:
        """The names that the zone group is to have, sorted; none where `rgw_dns_name` holds all, or buckets have none."""
        public = self.settings.public_hostname
        others = {one for one in self._gateway_hosts if not is_address(one)} - {public}
        return sorted({public, *others}) if public and others else []

    # URLs

    @property
    def public_url(self) -> str:
        """Where clients go: to the gateway, or without one to the first unit; empty while the gateway has not said."""
        served = haproxy_route_tcp.read_endpoints(self.gateway)
        if self.gateway and not served:
            return ""
        host, _, port = (
            served[0].rpartition(":")
            if served
            else (self._first_address or self.place.ingress, "", str(LISTENS_ON))
        )
        host = self.settings.public_hostname or host.strip("[]")
        return f"https://{bracketed(host)}:{port}"

    @property
    def internal_url(self) -> str:
        """Where services go: an address of the gateway's in their network, if it has one there, else where all do."""
        inner = haproxy_route_tcp.read_internal(self.gateway)
        if inner == haproxy_route_tcp.read_endpoints(self.gateway):
            return self.public_url
        return f"https://{inner[0]}"

    @property
    def _first_address(self) -> str:
        units = sorted(self.cluster.units, key=unit_number)
        known = (self.cluster.facts(unit).get("address", "") for unit in units)
        return next(filter(None, known), "")

    # What is published

    def publish(self, *, takes_proxied: bool, health: str) -> None:
        """Publish where this unit is, and as the leader ask for the route and the place in the catalogue.

        Args:
            takes_proxied: Whether this unit's front listens for connections with the address of who they are from.
            health: The path of health checks; empty as long as there is nothing to check.
        """
        self.cluster.publish(address=self.place.ingress)
        if takes_proxied:
            self.cluster.publish(takes_proxied=True)
        if self.gateway:
            haproxy_route_tcp.publish_address(self.gateway, self.unit, self.place.ingress)
            if self.unit.is_leader() and health:
                haproxy_route_tcp.request(
                    self.gateway, self.unit.app, self._route(self.gateway, Health(path=health))
                )
        self.request_identity()

    def _route(self, gateway: ops.Relation, health: Health) -> Route:
        ready = all("takes_proxied" in self.cluster.facts(unit) for unit in self.cluster.units)
        proxied = haproxy_route_tcp.asks_for_proxy_protocol(gateway, self.unit.app, ready=ready)
        port = PROXIED_PORT if proxied else LISTENS_ON
        return Route(port=SERVED_AT, backend_port=port, health=health, proxy_protocol=proxied)

    def request_identity(self) -> None:
        """As the leader ask for a user, and for a place in the catalogue as soon as it is known where clients go."""
        if self.identity is None or not self.unit.is_leader():
            return
        public, internal = self.public_url, self.internal_url
        found = [
            keystone.Endpoint(
                service_name=name,
                type=kind,
                description=description,
                public_url=f"{public}{path}",
                internal_url=f"{internal}{path}",
                admin_url=f"{internal}{path}",
            )
            for name, kind, description, path in SERVICES
            if public
        ]
        keystone.send_request(
            self.identity, self.unit.app, found,
            region=self.settings.region, roles=("ec2-reader",), enough=("service",),
        )  # fmt: skip
