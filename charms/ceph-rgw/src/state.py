"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.options import check
from openinfra_charm.model.status import NeedsOperatorError
from openinfra_charm.values import split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.interfaces.ceph_daemons import Access

LISTENS_ON = 17480
"""Each unit's port, its front's; the gateway serves it at the well-known 7480."""
PROXIED_PORT = 27480
"""Where the gateway sends connections with the address of who they are from."""
DAEMON_PORT = 17481
"""Where the daemon listens, on the loopback address."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HOST = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_MOST_CACHED = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """The names under which Ceph keeps the objects of this application; they never change."""

    realm: str
    zonegroup: str
    zone: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The charm's options, checked."""

    site: Site
    region: str
    public_hostname: str
    roles: tuple[str, ...]
    cache_size: int

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Check the options.

        Raises:
            ConfigError: An option has a value that cannot be used.
        """
        for option in ("realm", "zonegroup", "zone", "region"):
            is_name = _NAME.fullmatch(options[option])
            check(options, option, is_name, "letters, digits, - and _, at most 64")
        host, cached = options["public-hostname"], options["keystone-token-cache-size"]
        is_host = not host or _HOST.fullmatch(host)
        check(options, "public-hostname", is_host, "a DNS name in lower case, such as s3.example.org")
        roles = split(options["keystone-roles"])
        check(options, "keystone-roles", roles, "roles, comma-separated")
        check(options, "keystone-token-cache-size", 0 <= cached <= _MOST_CACHED, f"0 to {_MOST_CACHED}")
        return cls(
            site=Site(**{name: options[name] for name in ("realm", "zonegroup", "zone")}),
            region=options["region"],
            public_hostname=host,
            roles=roles,
            cache_size=cached,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Keystone:
    """How the gateway validates tokens: its own user, and where."""

    url: str
    user: str
    password: str
    project: str
    domain: str


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything that decides what runs on this machine; `address` is the one that the front listens on.

    `host_names` are those that the zone group has, which the daemon reads when it starts. `sources` are the addresses from
    which a gateway connects for its clients.
    """

    settings: Settings
    address: str
    access: Access
    keystone: Keystone | None
    host_names: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def check_site(wanted: Site, recorded: Mapping[str, Any]) -> None:
    """Check that the options name what was made.

    Raises:
        NeedsOperatorError: One has changed since.
    """
    for option in ("realm", "zonegroup", "zone"):
        value, made = getattr(wanted, option), recorded[option]
        if value != made:
            raise NeedsOperatorError(
                f"config {option}={value} cannot be changed to: objects are in {made}; set it back"
            )
