"""The `memcache` interface: the servers of a memcached ring.

The wire format is that of the charms memcached and memcached-k8s on Charmhub: each unit of the provider publishes
`host`, `port` and `udp-port` in its unit data. Ours listens to no UDP, so `udp-port` is `0`.

Ours is `tls-ca` in the unit data: the CA certificates (PEM) to trust. A unit that says it takes TLS only, with a certificate for
its `host`; one that does not takes none. Published clients pass the key over.

A client spreads its keys over the servers by their places in its list. So the list has to be in the same order in all
units of the client, or they do not find each other's items: `read_servers` sorts by the provider's unit number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model import databag
from openinfra_charm.model.cluster import unit_number
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    import ops


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """Where one unit of memcached is reached. With `ca`, the CA certificates to trust (PEM), it takes TLS only."""

    host: str
    port: int
    ca: str = ""

    def __str__(self) -> str:
        """Return `host:port`, an IPv6 address in brackets, as clients' configuration files have it."""
        return f"{bracketed(self.host)}:{self.port}"


def publish(relation: ops.Relation, unit: ops.Unit, server: Server) -> None:
    """As a unit of the provider, tell clients where it is reached."""
    data = relation.data[unit]
    said = {"host": server.host, "port": str(server.port), "udp-port": "0", "tls-ca": server.ca}
    for key, value in said.items():
        databag.put(data, key, value)


def read_servers(relation: ops.Relation) -> tuple[Server, ...]:
    """As a client, return the servers in the order that all units of the client see.

    A unit that has not published yet, or something else than a host and a port's number, is left out.
    """
    found: list[Server] = []
    for unit in sorted(relation.units, key=lambda unit: unit_number(unit.name)):
        data = relation.data[unit]
        host, port = data.get("host", ""), data.get("port", "")
        if databag.HOST.fits(host) and port.isdecimal():
            found.append(Server(host=host, port=int(port), ca=data.get("tls-ca", "")))
    return tuple(found)
