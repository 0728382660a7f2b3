"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model.status import ConfigError
from openinfra_charm.values import parse_size

if TYPE_CHECKING:
    from openinfra_charm.interfaces.ceph_daemons import Access

_MOST_SERVERS = 16
_LEAST_CACHE = 128 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The charm's options as Juju gives them."""

    max_mds: int
    standby_replay: bool
    mds_cache_memory_limit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The charm's options, checked; memory is in bytes."""

    active: int
    standby_replay: bool
    cache: int

    @classmethod
    def parse(cls, config: Config) -> Settings:
        """Check the options.

        Raises:
            ConfigError: An option has a value that cannot be used.
        """
        if not 1 <= config.max_mds <= _MOST_SERVERS:
            raise ConfigError("max-mds", config.max_mds, f"1 to {_MOST_SERVERS}")
        cache = parse_size(config.mds_cache_memory_limit)
        if cache is None or cache < _LEAST_CACHE:
            raise ConfigError(
                "mds-cache-memory-limit", config.mds_cache_memory_limit, "a size of 128M or more, such as 4G"
            )
        return cls(active=config.max_mds, standby_replay=config.standby_replay, cache=cache)


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything that decides what runs on this machine; `address` is the one that clients use."""

    settings: Settings
    address: str
    access: Access
