"""What Keystone asks of the applications around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystone import BACKEND_PORT, GATEWAY, PROXIED_PORT
from openinfra_charm.daemon.tls import Subject
from openinfra_charm.interfaces import haproxy_route_tcp, mysql_client
from openinfra_charm.openstack.api import HEALTH

if TYPE_CHECKING:
    import ops

    from charm import KeystoneCharm
    from openinfra_charm.model.addresses import Place


def ask(charm: KeystoneCharm) -> None:
    """Ask other applications for what Keystone needs of them."""
    place = charm.place
    if place:
        charm.cluster.publish(address=place.address, ingress=place.ingress)
    gateway, database = charm.model.get_relation("gateway"), charm.model.get_relation("database")
    if charm.keystone.front.takes_proxied:
        charm.cluster.publish(takes_proxied=True)
    if charm.unit.is_leader():
        if database:
            # A migration of Keystone's writes the name without quotes.
            mysql_client.send_request(database, charm.app, charm.app.name.replace("-", "_"))
        if gateway:
            haproxy_route_tcp.request(gateway, charm.app, _route(charm, gateway))
    certificates = charm.model.get_relation("certificates")
    if certificates and place:
        charm.keystone.tls.update(certificates, charm.unit, _subject(charm, place))


def offer(charm: KeystoneCharm) -> None:
    """Have the gateway send requests here, now that the API answers."""
    gateway = charm.model.get_relation("gateway")
    if gateway and charm.place:
        haproxy_route_tcp.publish_address(gateway, charm.unit, charm.place.ingress)


def sources(charm: KeystoneCharm) -> tuple[str, ...]:
    """Return the addresses from which a gateway connects, for its clients."""
    gateway = charm.model.get_relation("gateway")
    return haproxy_route_tcp.read_sources(gateway) if gateway else ()


def _route(charm: KeystoneCharm, gateway: ops.Relation) -> haproxy_route_tcp.Route:
    ready = all("takes_proxied" in charm.cluster.facts(unit) for unit in charm.cluster.units)
    proxied = haproxy_route_tcp.asks_for_proxy_protocol(gateway, charm.app, ready=ready)
    return haproxy_route_tcp.Route(
        port=GATEWAY,
        backend_port=PROXIED_PORT if proxied else BACKEND_PORT,
        health=haproxy_route_tcp.Health(path=HEALTH),
        proxy_protocol=proxied,
    )


def _subject(charm: KeystoneCharm, place: Place) -> Subject:
    """Return all names under which clients reach this unit, directly and through the gateway."""
    name = charm.machine.hostname()
    gateway = charm.model.get_relation("gateway")
    served = haproxy_route_tcp.read_hosts(gateway) if gateway and gateway.active else ()
    addresses = {host for host in served if _is_address(host)}
    return Subject(
        common_name=name,
        dns=(name, *(host for host in served if host not in addresses)),
        addresses=tuple(dict.fromkeys((place.address, place.ingress, *addresses))),
    )


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdecimal()
