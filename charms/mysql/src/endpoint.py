"""The one stable address of the database, at the gateway: whichever member takes the writes, clients keep theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import health_service
from openinfra_charm.interfaces import haproxy_route_tcp, mysql_client
from openinfra_charm.interfaces.haproxy_route_tcp import Health, Route
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    import ops

    from state import Member, Members

GATEWAY = 13306
IDLE_SECONDS = 28800
"""How long a session may say nothing: as long as MariaDB itself lets it (wait_timeout)."""


@dataclass(kw_only=True)
class Endpoint:
    """Where clients find the database: at the gateway, or without one at the member that takes the writes."""

    model: ops.Model
    members: Members

    @property
    def relation(self) -> ops.Relation | None:
        """The relation with the gateway, unless it is about to end."""
        found = self.model.get_relation("gateway")
        return found if found and found.active else None

    def publish_address(self) -> None:
        """Publish where the gateway reaches this unit's server."""
        if gateway := self.relation:
            address = self.members.me.ingress_address
            haproxy_route_tcp.publish_address(gateway, self.model.unit, address)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The gateway's names and addresses: the certificate has to have them, since clients verify it."""
        return haproxy_route_tcp.read_hosts(self.relation)

    def request(self, writer: Member, *, tls: bool) -> str:
        """As the leader, ask for the route, and return where clients find the database.

        The order is the same for all: the member that takes the writes, and after it the others as they came.

        Args:
            writer: The member that takes the writes.
            tls: Whether all members' health services speak TLS.
        """
        gateway, direct = self.relation, f"{bracketed(writer.ingress_address)}:{mysql_client.PORT}"
        if gateway is None:
            return direct
        others = (member for member in self.members.present if member.unit != writer.unit)
        route = Route(
            port=GATEWAY,
            backend_port=mysql_client.PORT,
            health=Health(path="/", port=health_service.PORT, tls=tls),
            single=True,
            order=tuple(member.ingress_address for member in (writer, *others)),
            timeout=IDLE_SECONDS,
        )
        haproxy_route_tcp.request(gateway, self.model.app, route)
        return ",".join(haproxy_route_tcp.read_internal(gateway)) or direct
