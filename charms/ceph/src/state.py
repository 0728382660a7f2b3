"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model.status import ConfigError
from openinfra_charm.values import parse_size, split
from source import Source

if TYPE_CHECKING:
    from identity import Identity
    from members import Member


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
class State:
    """Everything that decides what runs on this machine."""

    settings: Settings
    identity: Identity
    member: Member
    monitors: tuple[Member, ...]
    """The units whose monitors have been in quorum, and this one if it shall run one."""
    runs_monitor: bool
    founds_cluster: bool
