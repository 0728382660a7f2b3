"""The `ovsdb-cms` interface: where OVN's databases are, for cloud management systems such as Neutron.

The wire format is that of `ovsdb`, and of Charmhub's ovn-central. A cloud management system writes into the southbound database
what no chassis may, so it connects to a port of its own: 16642, which is Charmhub's too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.interfaces import ovsdb
from openinfra_charm.interfaces.ovsdb import Connections, publish_address

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ops

__all__ = ["SOUTHBOUND_PORT", "Connections", "publish_address", "publish_connections", "read"]

SOUTHBOUND_PORT = 16642


def publish_connections(
    relation: ops.Relation, application: ops.Application, addresses: Iterable[str]
) -> None:
    """As the provider's leader, publish how all servers are reached."""
    ovsdb.publish_connections(relation, application, addresses, SOUTHBOUND_PORT)


def read(relation: ops.Relation) -> Connections | None:
    """As a client, return how the databases are reached; None while no server is published.

    Raises:
        NeedsOperatorError: The provider has said something that cannot be used.
    """
    return ovsdb.read(relation, SOUTHBOUND_PORT)
