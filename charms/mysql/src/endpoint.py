"""The one stable address of the database, at the gateway: whichever member takes the writes, clients keep theirs."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import health_service
from openinfra_charm.interfaces import haproxy_route_tcp, mysql_client
from openinfra_charm.interfaces.haproxy_route_tcp import Health, Route
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    import ops

    from charm import MySqlCharm
    from state import Member

GATEWAY = 13306
IDLE_SECONDS = 28800
"""How long a session may say nothing: as long as MariaDB itself lets it (wait_timeout)."""


def relation(charm: MySqlCharm) -> ops.Relation | None:
    """Return the relation with the gateway, unless it is about to end."""
    found = charm.model.get_relation("gateway")
    return found if found and found.active else None


def publish_address(charm: MySqlCharm) -> None:
    """Say where the gateway reaches this unit's server."""
    if gateway := relation(charm):
        address = charm.members[charm.unit.name].ingress_address
        haproxy_route_tcp.publish_address(gateway, charm.unit, address)


def names(charm: MySqlCharm) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the gateway's names and its addresses: the certificate has to have them, since clients verify it."""
    gateway = relation(charm)
    found = haproxy_route_tcp.read_hosts(gateway) if gateway else ()
    addresses = tuple(one for one in found if _is_address(one))
    return tuple(one for one in found if one not in addresses), addresses


def serve(charm: MySqlCharm, writer: Member) -> str:
    """As the leader, ask for the route, and return where clients find the database.

    The order is the same for all: the member that takes the writes, and after it the others as they came.
    """
    gateway = relation(charm)
    if gateway is None:
        return f"{bracketed(writer.ingress_address)}:{mysql_client.PORT}"
    others = (charm.members.get(unit) for unit, _ in charm.cluster.shared["members"] if unit != writer.unit)
    order = (writer.ingress_address, *(member.ingress_address for member in others if member))
    route = Route(
        port=GATEWAY,
        backend_port=mysql_client.PORT,
        health=Health(path="/", port=health_service.PORT, tls="tls" in charm.cluster.shared),
        single=True,
        order=order,
        timeout=IDLE_SECONDS,
    )
    haproxy_route_tcp.request(gateway, charm.app, route)
    return (
        ",".join(haproxy_route_tcp.read_internal(gateway))
        or f"{bracketed(writer.ingress_address)}:{mysql_client.PORT}"
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
