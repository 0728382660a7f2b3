"""The charm's own options, parsed and checked here, once, and nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.options import check, size, whole
from openinfra_charm.values import parse_size, split

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_LARGEST_POOL = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What templates get as `settings`. Sizes are in bytes; a quota of 0 is none."""

    size_cap: int
    quota: int
    hosts: tuple[str, ...]
    """Those from which images may be downloaded, by name; none: nothing is."""


def parse(options: Mapping[str, Any]) -> Settings:
    """Check the options.

    Raises:
        ConfigError: One has a value that cannot be used.
    """
    quota, hosts = parse_size(options["project-quota"]), split(options["web-download-hosts"])
    is_size = quota is not None or options["project-quota"] == "0"
    check(options, "project-quota", is_size, "a size such as 500G, or 0 for none")
    expected = "names of hosts such as cloud-images.ubuntu.com, comma-separated; addresses are none"
    check(options, "web-download-hosts", all(_is_name(host) for host in hosts), expected)
    whole(options, "pool-replicas", 0, _LARGEST_POOL)
    check(options, "pool-device-class", re.fullmatch(r"[\w-]*", options["pool-device-class"]), "such as ssd")
    return Settings(
        size_cap=size(options, "image-size-cap", least="1M", example="1T"), quota=quota or 0, hosts=hosts
    )


def _is_name(host: str) -> bool:
    return bool(_HOST.fullmatch(host)) and not host.rpartition(".")[2].isdecimal()
