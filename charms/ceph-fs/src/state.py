"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.options import check, size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.interfaces.ceph_daemons import Access

_MOST_SERVERS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The charm's options, checked; memory is in bytes."""

    active: int
    standby_replay: bool
    cache: int

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Check the options.

        Raises:
            ConfigError: An option has a value that cannot be used.
        """
        active = options["max-mds"]
        check(options, "max-mds", 1 <= active <= _MOST_SERVERS, f"1 to {_MOST_SERVERS}")
        cache = size(options, "mds-cache-memory-limit", "128M", "4G")
        return cls(active=active, standby_replay=options["standby-replay"], cache=cache)


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything that decides what runs on this machine; `address` is the one that clients use."""

    settings: Settings
    address: str
    access: Access
