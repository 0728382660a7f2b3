"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.cluster import Published
from openinfra_charm.model.options import check, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.model.addresses import Place
    from openinfra_charm.model.cluster import Cluster

_MOST_SECONDS = 60
_LONGEST_PROBE = 3600
_MOST_BACKUPS = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the operator wants; times are in milliseconds. A probe of 0 never asks."""

    election_timer: int
    inactivity_probe: int
    northd_probe: int
    backup_directory: str
    backup_retention: int

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Read the charm's options.

        Raises:
            ConfigError: An option's value cannot be used.
        """
        folder = options["backup-directory"]
        is_path = folder.startswith("/") and not any(letter.isspace() for letter in folder)
        check(options, "backup-directory", is_path, "an absolute path without blanks")
        return cls(
            election_timer=1000 * whole(options, "ovsdb-server-election-timer", 1, _MOST_SECONDS),
            inactivity_probe=1000 * whole(options, "ovsdb-server-inactivity-probe", 0, _LONGEST_PROBE),
            northd_probe=1000 * whole(options, "northd-inactivity-probe", 1, _MOST_SECONDS),
            backup_directory=folder.rstrip("/"),
            backup_retention=whole(options, "backup-retention", 1, _MOST_BACKUPS),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A unit as its peers know it.

    `servers` are the ids of its servers, by database, once they have joined their clusters, whose ids are `clusters`. `lost` says that it has no files of servers that it had; `removed` are ids of servers that the leader
    wants removed and that the clusters, as this unit sees them, do not have. `leaving` says that its removal is being prepared.
    `version` is that of the installed packages.
    """

    unit: str
    address: str
    cms_address: str
    version: str = ""
    servers: Mapping[str, str] = field(default_factory=dict[str, str])
    clusters: Mapping[str, str] = field(default_factory=dict[str, str])
    removed: tuple[str, ...] = ()
    lost: bool = False
    leaving: bool = False

    @classmethod
    def parse(cls, unit: str, facts: Mapping[str, Any]) -> Member:
        """Read what a unit has published of itself."""
        return cls(
            unit=unit,
            address=facts["address"],
            cms_address=facts["cms_address"],
            version=facts.get("version", ""),
            servers=facts.get("servers") or {},
            clusters=facts.get("clusters") or {},
            removed=tuple(facts.get("removed") or ()),
            lost=facts.get("lost", False),
            leaving=facts.get("leaving", False),
        )


class Members(Published[Member]):
    """The units that have published where they are, and what the leader has recorded of the clusters.

    Args:
        cluster: The peer relation.
        unit: The name of this unit.
    """

    def __init__(self, cluster: Cluster, unit: str) -> None:
        super().__init__(cluster, Member.parse, mark="address")
        self._cluster = cluster
        self.unit = unit

    @property
    def me(self) -> Member:
        """This unit, once it has published where it is."""
        return self[self.unit]

    @property
    def clusters(self) -> Mapping[str, str]:
        """The ids of the clusters, by database; empty until both are founded."""
        return self._cluster.shared.get("clusters", {})

    @property
    def recorded(self) -> dict[str, Mapping[str, str]]:
        """The units that are members, with the ids of their servers by database."""
        return self._cluster.shared.get("members", {})

    @property
    def former(self) -> frozenset[str]:
        """The ids of clusters that an operator has given up."""
        return frozenset(self._cluster.shared.get("former", ()))

    @property
    def out(self) -> dict[str, Mapping[str, str]]:
        """The units whose former servers are to be removed from the clusters, with the ids of these by database."""
        return self._cluster.shared.get("out", {})


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything that decides what runs on this machine.

    The servers listen for each other, and for northd, on `cluster_address`, for chassis on `ovsdb_address`, for cloud management
    systems on `cms_address`. `northd_hosts` are the cluster addresses of all units, None while some are not known yet: then northd
    goes on with those that it knows.
    """

    settings: Settings
    cluster_address: str
    ovsdb_address: str
    cms_address: str
    northd_hosts: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Where this unit is in the networks of its bindings."""

    cluster: Place
    ovsdb: Place
    cms: Place

    @property
    def hosts(self) -> tuple[str, ...]:
        """Under which addresses it is reached."""
        return (*self.cluster.hosts, *self.ovsdb.hosts, *self.cms.hosts)
