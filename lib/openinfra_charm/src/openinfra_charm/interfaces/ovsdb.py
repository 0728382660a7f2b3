"""The `ovsdb` interface: where OVN's databases are, for daemons of OVN's own on other machines.

The wire format is that of Charmhub's ovn-central (repository `openstack-charmers/charm-interface-ovsdb`): each unit of the
provider that has the databases publishes `bound-address` in its unit data. Ports are part of the format: 6641 for the
northbound database, 6642 for the southbound one, where who connects may write only what a chassis may (the role
`ovn-controller`), each chassis its own rows: those of the name that its certificate is for.

MicroOVN's charm publishes `db_nb_connection_strs` and `db_sb_connection_strs` in its application data instead. Ours does
both, and reads both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model import databag
from openinfra_charm.model.cluster import unit_number
from openinfra_charm.model.databag import Form
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ops

NORTHBOUND_PORT = 6641
SOUTHBOUND_PORT = 6642
_KEYS = ("db_nb_connection_strs", "db_sb_connection_strs")
_REMOTE = r"(ssl|tcp):([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}"
_REMOTES = Form(rf"{_REMOTE}(,{_REMOTE})*", "OVSDB remotes such as ssl:10.0.0.10:6641,ssl:10.0.0.11:6641")


@dataclass(frozen=True, kw_only=True, slots=True)
class Connections:
    """How both databases are reached, as OVSDB's clients have it: `ssl:10.0.0.10:6641,ssl:10.0.0.11:6641`."""

    northbound: str
    southbound: str


def connections(addresses: Iterable[str], southbound_port: int = SOUTHBOUND_PORT) -> Connections:
    """Return how the databases on servers at these addresses are reached."""
    hosts = [bracketed(address) for address in addresses]
    return Connections(
        northbound=",".join(f"ssl:{host}:{NORTHBOUND_PORT}" for host in hosts),
        southbound=",".join(f"ssl:{host}:{southbound_port}" for host in hosts),
    )


def publish_address(relation: ops.Relation, unit: ops.Unit, address: str) -> None:
    """As a unit of the provider, publish where its databases are reached; empty where it has none."""
    databag.put(relation.data[unit], "bound-address", address)


def publish_connections(
    relation: ops.Relation,
    application: ops.Application,
    addresses: Iterable[str],
    southbound_port: int = SOUTHBOUND_PORT,
) -> None:
    """As the provider's leader, publish how all servers are reached."""
    found = connections(addresses, southbound_port)
    for key, text in zip(_KEYS, (found.northbound, found.southbound), strict=True):
        databag.put(relation.data[application], key, text)


def read(relation: ops.Relation, southbound_port: int = SOUTHBOUND_PORT) -> Connections | None:
    """As a client, return how the databases are reached; None while no server is published.

    Servers are in the order of their units' numbers, so that what is made of them changes only when they do.

    Raises:
        NeedsOperatorError: The provider has said something that cannot be used.
    """
    units = sorted(relation.units, key=lambda unit: unit_number(unit.name))
    addresses = [address for unit in units if (address := relation.data[unit].get("bound-address"))]
    for address in addresses:
        databag.check(relation, databag.HOST, {"bound-address": address})
    if addresses:
        return connections([address.strip("[]") for address in addresses], southbound_port)
    said = {key: relation.data[relation.app].get(key, "") for key in _KEYS}
    if not all(said.values()):
        return None
    databag.check(relation, _REMOTES, said)
    northbound, southbound = said.values()
    return Connections(northbound=northbound, southbound=southbound)
