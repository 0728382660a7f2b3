"""The units of the application as they know each other through the peer relation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ops

from openinfra_charm.model.cluster import Published

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.model.addresses import Addresses
    from openinfra_charm.model.cluster import Cluster


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A unit as its peers know it.

    `monitor` says whether its monitor has been in quorum, `leaving` whether its removal is being prepared. `osds` are
    the uuids of its OSDs that the cluster has on record as the unit's.
    """

    unit: str
    hostname: str
    public_address: str
    cluster_address: str
    monitor: bool = False
    leaving: bool = False
    osds: tuple[str, ...] = ()

    @classmethod
    def parse(cls, unit: str, facts: Mapping[str, Any]) -> Member:
        """Read what a unit has published of itself."""
        return cls(
            unit=unit,
            hostname=facts["hostname"],
            public_address=facts["public_address"],
            cluster_address=facts["cluster_address"],
            monitor=facts.get("monitor", False),
            leaving=facts.get("leaving", False),
            osds=tuple(osds) if isinstance(osds := facts.get("osds"), list) else (),
        )


class Members(Published[Member]):
    """The units that have published where they are."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, Member.parse, mark="hostname")


def publish(
    cluster: Cluster, unit: str, *, addresses: Addresses, hostname: str, version: str, is_bound: bool
) -> ops.StatusBase | None:
    """Publish to the peers where a unit, this one, is, as far as Juju has addresses for it.

    Args:
        cluster: The peer relation.
        unit: The unit.
        addresses: Its addresses.
        hostname: Its machine's name.
        version: The version of Ceph that is installed there.
        is_bound: Whether it has a monitor. The others know that by its address, which is in the cluster's map.

    Returns:
        What an operator has to put right: the address is not that of the monitor any more. The peers see the latter.
    """
    published = cluster.facts(unit).get("public_address")
    public, internal = addresses.find("public", published=published), addresses.find("cluster")
    if not public or not internal:
        return None
    is_another = published and published != public.address and is_bound
    cluster.publish(
        hostname=hostname, public_address=published if is_another else public.address,
        cluster_address=internal.address, ceph_version=version,
    )  # fmt: skip
    if not is_another:
        return None
    return ops.BlockedStatus(
        f"the address of {unit} was {published} and is {public.address} now, and its monitor cannot follow: give "
        "the machine the old one back, or remove the unit and add another"
    )
