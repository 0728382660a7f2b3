"""What Keystone asks of the applications around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keystone import BACKEND_PORT, GATEWAY
from openinfra_charm.interfaces import haproxy_route_tcp, mysql_client
from openinfra_charm.openstack.api import HEALTH
from openinfra_charm.tls import Subject

if TYPE_CHECKING:
    from charm import KeystoneCharm


def ask(charm: KeystoneCharm) -> None:
    """Ask other applications for what Keystone needs of them."""
    address = charm.address
    if address:
        charm.cluster.publish(address=address)
    gateway, database = charm.model.get_relation("gateway"), charm.model.get_relation("database")
    if gateway and address:
        haproxy_route_tcp.publish_address(gateway, charm.unit, address)
    if charm.unit.is_leader():
        if database:
            # A migration of Keystone's writes the name without quotes.
            mysql_client.send_request(database, charm.app, charm.app.name.replace("-", "_"))
        if gateway:
            health = haproxy_route_tcp.Health(path=HEALTH)
            route = haproxy_route_tcp.Route(port=GATEWAY, backend_port=BACKEND_PORT, health=health)
            haproxy_route_tcp.request(gateway, charm.app, route)
    certificates = charm.model.get_relation("certificates")
    if certificates and address:
        charm.keystone.tls.update(certificates, charm.unit, _subject(charm, address))


def _subject(charm: KeystoneCharm, address: str) -> Subject:
    """Return all names under which clients reach this unit, directly and through the gateway."""
    name = charm.machine.hostname()
    served = haproxy_route_tcp.hosts(charm.served)
    addresses = {host for host in served if _is_address(host)}
    return Subject(
        common_name=name,
        dns=(name, *(host for host in served if host not in addresses)),
        addresses=(address, *addresses),
    )


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdecimal()
