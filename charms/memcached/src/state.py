"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.options import whole

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEAST_MEMORY = 8
_MOST_CONNECTIONS = 65536
_MOST_THREADS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """What the operator wants of each cache: memory in MiB, the timeout in seconds (0: none)."""

    memory_limit: int
    connection_limit: int
    idle_timeout: int
    threads: int

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Config:
        """Read the charm's options.

        Raises:
            ConfigError: An option's value cannot be used.
        """
        return cls(
            memory_limit=whole(options, "memory-limit", _LEAST_MEMORY),
            connection_limit=whole(options, "connection-limit", 1, _MOST_CONNECTIONS),
            idle_timeout=whole(options, "idle-timeout", 0),
            threads=whole(options, "threads", 1, _MOST_THREADS),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything that decides what runs on this machine.

    `address` is the one that clients use, `tls` whether they speak TLS: then key and certificate are on the machine.
    """

    config: Config
    address: str
    tls: bool = False
