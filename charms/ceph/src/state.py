"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.options import check, shared, size
from openinfra_charm.model.status import ConfigError
from openinfra_charm.values import parse_size, split
from source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from identity import Identity
    from members import Member


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
    shared_pools: Mapping[str, frozenset[str]]
    """Which pools of others an application may use."""

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Check the options.

        Raises:
            ConfigError: An option has a value that cannot be used.
        """
        copies, least, groups = (
            options[f"osd-pool-default-{name}"] for name in ("size", "min-size", "pg-num")
        )
        monitors, domain = options["monitor-count"], options["failure-domain"]
        check(options, "monitor-count", monitors in {1, 3, 5}, "1, 3 or 5")
        check(options, "failure-domain", domain in {"host", "osd"}, "host or osd")
        check(options, "osd-pool-default-size", copies >= 1, "1 or more")
        is_within = 1 <= least <= copies
        check(options, "osd-pool-default-min-size", is_within, f"1 to osd-pool-default-size ({copies})")
        is_power = groups >= 0 and not groups & (groups - 1)
        check(options, "osd-pool-default-pg-num", is_power, "0 or a power of two")
        memory = size(options, "osd-memory-target", "512M", "4G")
        devices = split(options["osd-devices"])
        for device in devices:
            kind, _, room = device.partition(":")
            if not device.startswith("/dev/") and not (kind == "file" and parse_size(room)):
                raise ConfigError("osd-devices", device, "paths under /dev or file:SIZE, comma-separated")
        return cls(
            monitor_count=monitors,
            osd_devices=devices,
            failure_domain=domain,
            pool_size=copies,
            pool_min_size=least,
            pool_pg_num=groups,
            osd_memory_target=memory,
            osd_benchmark=options["osd-benchmark"],
            allow_plain_credentials=options["allow-plain-credentials"],
            source=Source.parse(options["source"], options["key"]),
            shared_pools=shared(options, "shared-pools", "application:pool for each, such as cinder:glance"),
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
class State:
    """Everything that decides what runs on this machine."""

    settings: Settings
    identity: Identity
    member: Member
    monitors: tuple[Member, ...]
    """The units whose monitors have been in quorum, and this one if it shall run one."""
    runs_monitor: bool
    founds_cluster: bool
