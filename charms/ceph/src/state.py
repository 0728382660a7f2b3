"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.status import ConfigError
from openinfra_charm.values import parse_size, split
from source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openinfra_charm.model.cluster import Cluster

CLUSTER_KEYS = "cluster-keys"
"""The label of the secret with the keys of all units."""
DOMAINS = ("osd", "host", "chassis", "rack", "row", "pdu", "pod", "room", "datacenter")


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The charm's options as Juju gives them."""

    monitor_count: int
    osd_devices: str
    failure_domain: str
    osd_pool_default_size: int
    osd_pool_default_min_size: int
    osd_pool_default_pg_num: int
    osd_memory_target: str
    osd_benchmark: bool
    allow_plain_credentials: bool
    source: str
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The charm's options, checked. Memory is in bytes; `pool_pg_num` 0 means that Ceph decides."""

    monitor_count: int
    osd_devices: tuple[str, ...]
    failure_domain: str
    pool_size: int
    pool_min_size: int
    pool_pg_num: int
    osd_memory_target: int
    osd_benchmark: bool
    allow_plain_credentials: bool
    source: Source

    @classmethod
    def parse(cls, config: Config) -> Settings:
        """Check the options.

        Raises:
            ConfigError: An option has a value that cannot be used.
        """
        size, least, groups = (
            config.osd_pool_default_size,
            config.osd_pool_default_min_size,
            config.osd_pool_default_pg_num,
        )
        if config.monitor_count not in {1, 3, 5}:
            raise ConfigError("monitor-count", config.monitor_count, "1, 3 or 5")
        if config.failure_domain not in {"host", "osd"}:
            raise ConfigError("failure-domain", config.failure_domain, "host or osd")
        if size < 1:
            raise ConfigError("osd-pool-default-size", size, "1 or more")
        if not 1 <= least <= size:
            raise ConfigError("osd-pool-default-min-size", least, f"1 to osd-pool-default-size ({size})")
        if groups < 0 or groups & (groups - 1):
            raise ConfigError("osd-pool-default-pg-num", groups, "0 or a power of two")
        memory = parse_size(config.osd_memory_target)
        if memory is None or memory < 512 << 20:
            raise ConfigError(
                "osd-memory-target", config.osd_memory_target, "a size of 512M or more, such as 4G"
            )
        devices = split(config.osd_devices)
        for device in devices:
            kind, _, room = device.partition(":")
            if not device.startswith("/dev/") and not (kind == "file" and parse_size(room)):
                raise ConfigError("osd-devices", device, "paths under /dev or file:SIZE, comma-separated")
        return cls(
            monitor_count=config.monitor_count,
            osd_devices=devices,
            failure_domain=config.failure_domain,
            pool_size=size,
            pool_min_size=least,
            pool_pg_num=groups,
            osd_memory_target=memory,
            osd_benchmark=config.osd_benchmark,
            allow_plain_credentials=config.allow_plain_credentials,
            source=Source.parse(config.source, config.key),
        )

    def at_run_time(self) -> dict[str, str]:
        """Return the options that Ceph's daemons take while they run, by `who/name`: for its central configuration."""
        options = {
            "global/osd_pool_default_size": str(self.pool_size),
            "global/osd_pool_default_min_size": str(self.pool_min_size),
            "osd/osd_memory_target": str(self.osd_memory_target),
        }
        if self.pool_size == 1:
            options |= {
                "global/mon_allow_pool_size_one": "true",
                "global/mon_warn_on_pool_no_redundancy": "false",
            }
        if self.pool_pg_num:
            options |= {
                "global/osd_pool_default_pg_num": str(self.pool_pg_num),
                "global/osd_pool_default_pg_autoscale_mode": "off",
            }
        return options


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What makes this cluster this cluster: its id and the keys that let a monitor or an administrator in."""

    fsid: str
    monitor_key: str
    admin_key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A unit as its peers know it.

    `monitor` tells whether its monitor has been in quorum, `leaving` whether its removal is being prepared. `osds` are
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


class Members(Mapping[str, Member]):
    """The units that have said where they are, by name and in the order of their numbers.

    A unit's facts are read when they are asked for: most hooks of a large application need few of them.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __getitem__(self, unit: str) -> Member:
        facts = self._cluster.facts(unit)
        if "hostname" not in facts:
            raise KeyError(unit)
        return Member.parse(unit, facts)

    def __iter__(self) -> Iterator[str]:
        return (unit for unit in self._cluster.units if unit in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything that decides what runs on this machine."""

    settings: Settings
    identity: Identity
    member: Member
    monitors: tuple[Member, ...]
    """The units whose monitors have been in quorum, and this one if it shall run one."""
    runs_monitor: bool
    founds_cluster: bool


def next_monitors(
    current: list[str], members: Mapping[str, Member], limit: int, gone: Collection[str] = ()
) -> list[str]:
    """Return which units shall run monitors, given those that do; each joins when all before it are in quorum.

    Monitors are added on the way to an odd number only, and when all that are there have been in quorum. A unit that
    leaves gives its monitor up, one at a time, only when the others are complete without it. When units are lost, two
    monitors stay two: a majority of two may be gone with either, but the cluster's maps are not on a single disk.

    Args:
        current: The units that run monitors or are about to; the founder is the first.
        members: All units that have said where they are, by name, in the order in which they are chosen. One that is
            not among them may just not have been met yet.
        limit: The most monitors to run (1, 3 or 5).
        gone: Those of `current` that the model does not have any more.
    """
    kept = [unit for unit in current if unit not in gone]
    if not all(unit in members and members[unit].monitor for unit in kept):
        return kept
    lasting = [unit for unit in kept if not members[unit].leaving]
    others = (unit for unit, member in members.items() if unit not in kept and not member.leaving)
    spare = list(islice(others, max(0, limit - len(lasting))))
    available = max(1, min(limit, len(lasting) + len(spare)))
    goal = max(count for count in (1, 3, 5) if count <= available)
    if len(lasting) < goal:
        return [*kept, *spare[: goal - len(lasting)]]
    surplus = [unit for unit in kept if unit not in lasting] or lasting[limit:]
    return [unit for unit in kept if unit != surplus[-1]] if surplus and lasting else kept


def runs_monitor(
    unit: str, chosen: list[str], members: Mapping[str, Member], gone: Collection[str] = ()
) -> bool:
    """Return whether a unit runs a monitor or is to join with one now: all chosen before it have been in quorum.

    Args:
        unit: The unit, one of `members`.
        chosen: The units that shall run monitors.
        members: All units that have said where they are.
        gone: Those of `chosen` that the model does not have any more.
    """
    if unit not in chosen:
        return False
    before = [other for other in chosen[: chosen.index(unit)] if other not in gone]
    return members[unit].monitor or all(other in members and members[other].monitor for other in before)
