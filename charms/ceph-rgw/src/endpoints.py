"""Where clients reach the object gateway: its names, its route, its place in the catalogue."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from openinfra_charm.daemon.tls import Subject
from openinfra_charm.interfaces import haproxy_route_tcp, keystone
from openinfra_charm.interfaces.haproxy_route_tcp import Health, Route
from openinfra_charm.model.cluster import unit_number
from openinfra_charm.values import bracketed
from state import LISTENS_ON, PROXIED_PORT

if TYPE_CHECKING:
    import ops

    from charm import CephRgwCharm
    from state import Settings

SERVED_AT = 7480
"""The well-known port, at the gateway."""


def subject(charm: CephRgwCharm, settings: Settings) -> Subject:
    """Return all names and addresses under which clients reach this unit, those of the gateway among them."""
    hosts = {charm.place.address, charm.place.ingress, *_gateway_hosts(charm)}
    host = charm.machine.hostname()
    names = {host, *(one for one in hosts if not _is_address(one))}
    if settings.public_hostname:
        # The one below is for buckets as a part of the name.
        names |= {settings.public_hostname, f"*.{settings.public_hostname}"}
    return Subject(
        common_name=host,
        dns=tuple(sorted(names)),
        addresses=tuple(sorted(one for one in hosts if _is_address(one))),
    )


def host_names(charm: CephRgwCharm, settings: Settings) -> list[str]:
    """Return the names that the zone group is to have, sorted; none where `rgw_dns_name` holds all, or buckets have none."""
    others = {one for one in _gateway_hosts(charm) if not _is_address(one)} - {settings.public_hostname}
    return sorted({settings.public_hostname, *others}) if settings.public_hostname and others else []


def publish(charm: CephRgwCharm, settings: Settings) -> None:
    """Tell the others where this unit is, and as the leader ask for the route and the place in the catalogue."""
    charm.cluster.publish(address=charm.place.ingress)
    if charm.rgw.front.was_started:
        charm.cluster.publish(takes_proxied=True)
    relation = charm.model.get_relation("gateway")
    if relation:
        haproxy_route_tcp.publish_address(relation, charm.unit, charm.place.ingress)
        if charm.unit.is_leader() and charm.cluster.shared.get("checked"):
            # This list is read from the disks each time: who cannot reach the cluster has no answer.
            health = Health(path=f"/{charm.rgw.health_bucket}")
            haproxy_route_tcp.request(relation, charm.app, _route(charm, relation, health))
    request_identity(charm, settings)


def sources(charm: CephRgwCharm) -> tuple[str, ...]:
    """Return the addresses from which a gateway connects, for its clients."""
    relation = charm.model.get_relation("gateway")
    return haproxy_route_tcp.read_sources(relation) if relation else ()


def _route(charm: CephRgwCharm, relation: ops.Relation, health: Health) -> Route:
    ready = all("takes_proxied" in charm.cluster.facts(unit) for unit in charm.cluster.units)
    proxied = haproxy_route_tcp.asks_for_proxy_protocol(relation, charm.app, ready=ready)
    port = PROXIED_PORT if proxied else LISTENS_ON
    return Route(port=SERVED_AT, backend_port=port, health=health, proxy_protocol=proxied)


def request_identity(charm: CephRgwCharm, settings: Settings) -> None:
    """As the leader ask for a user, and for a place in the catalogue as soon as it is known where clients go."""
    relation = charm.model.get_relation("identity-service")
    if relation is None or not charm.unit.is_leader():
        return
    found = [
        keystone.Endpoint(
            service_name=name,
            type=kind,
            description=description,
            public_url=f"{url}{path}",
            internal_url=f"{inner}{path}",
            admin_url=f"{inner}{path}",
        )
        for url, inner in [(public_url(charm, settings), internal_url(charm, settings))]
        if url
        for name, kind, description, path in (
            ("swift", "object-store", "Object storage (Swift)", "/swift/v1/AUTH_%(project_id)s"),
            ("s3", "s3", "Object storage (S3)", ""),
        )
    ]
    keystone.send_request(
        relation, charm.app, found, region=settings.region, roles=("ec2-reader",), enough=("service",)
    )


def public_url(charm: CephRgwCharm, settings: Settings) -> str:
    """Return where clients go: the gateway, or without one the first unit; empty while the gateway has not said."""
    relation = charm.model.get_relation("gateway")
    served = haproxy_route_tcp.read_endpoints(relation) if relation else ()
    if relation and not served:
        return ""
    host, _, port = (
        served[0].rpartition(":")
        if served
        else (_first_address(charm) or charm.place.ingress, "", str(LISTENS_ON))
    )
    host = settings.public_hostname or host.strip("[]")
    return f"https://{bracketed(host)}:{port}"


def internal_url(charm: CephRgwCharm, settings: Settings) -> str:
    """Return where services go: an address of the gateway's in their network, if it has one there, else where all do."""
    relation = charm.model.get_relation("gateway")
    inner = haproxy_route_tcp.read_internal(relation) if relation else ()
    if not (relation and inner) or inner == haproxy_route_tcp.read_endpoints(relation):
        return public_url(charm, settings)
    return f"https://{inner[0]}"


def _first_address(charm: CephRgwCharm) -> str:
    known = (
        charm.cluster.facts(unit).get("address", "") for unit in sorted(charm.cluster.units, key=unit_number)
    )
    return next(filter(None, known), "")


def _gateway_hosts(charm: CephRgwCharm) -> tuple[str, ...]:
    relation = charm.model.get_relation("gateway")
    return haproxy_route_tcp.read_hosts(relation) if relation else ()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
