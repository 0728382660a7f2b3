"""What the options say, as a frozen record: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keyset import EXPIRED_WINDOW
from openinfra_charm.model.options import check, whole
from openinfra_charm.model.status import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = {"m": 60, "h": 3600, "d": 86400}
INTERVALS = {"hourly": 3600, "daily": 86400, "weekly": 7 * 86400, "monthly": 30 * 86400, "never": 0}
"""How often Juju has a secret rotated (its rotate policies), in seconds; 0: not by itself."""
_DOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TAKEN = frozenset({"default", "service_domain"})
_LIFETIMES = (5 * 60, 7 * 86400)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Keystone's own options, checked. Times are in seconds."""

    token_lifetime: int
    key_rotation: str
    keys_secret: str
    password_minimum_length: int
    lockout_failures: int
    extra_roles: frozenset[tuple[str, str]]
    """Which applications may have which roles beyond the usual ones."""
    ldap_domain: str
    ldap_secret: str

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Check the options.

        Raises:
            ConfigError: An option has a value that cannot be used.
        """
        rotation = options["key-rotation"]
        check(options, "key-rotation", rotation in INTERVALS, f"one of {', '.join(INTERVALS)}")
        return cls(
            token_lifetime=_lifetime(options["token-lifetime"]),
            key_rotation=rotation,
            keys_secret=options.get("keys-secret") or "",
            password_minimum_length=whole(options, "password-minimum-length", 0, 128),
            lockout_failures=whole(options, "lockout-failures", 0, 1000),
            extra_roles=_pairs(options, "extra-roles"),
            ldap_domain=_domain(options),
            ldap_secret=options.get("ldap-secret") or "",
        )

    @property
    def token_reach(self) -> int:
        """How long after it was issued a token may be shown at most."""
        return self.token_lifetime + EXPIRED_WINDOW

    @property
    def active_keys(self) -> int:
        """How many keys there are when they are rotated in their interval and no token loses its own.

        Keystone's own rule: one for each rotation within a token's reach, the one in use, and the staged one.
        """
        interval = INTERVALS[self.key_rotation]
        return 2 + (math.ceil(self.token_reach / interval) if interval else 1)


def _domain(options: Mapping[str, Any]) -> str:
    name = options["ldap-domain"].strip()
    fits = not name or (_DOMAIN.fullmatch(name) and name.lower() not in _TAKEN)
    check(
        options,
        "ldap-domain",
        fits,
        "a name of letters, digits, dots, dashes and underscores, and none of Keystone's own domains",
    )
    return name


def _lifetime(text: str) -> int:
    match = re.fullmatch(r"(\d+)([mhd])", text.strip())
    seconds = int(match[1]) * SECONDS[match[2]] if match else 0
    if not _LIFETIMES[0] <= seconds <= _LIFETIMES[1]:
        raise ConfigError("token-lifetime", text, "5m to 7d, as a number and m, h or d")
    return seconds


def _pairs(options: Mapping[str, Any], option: str) -> frozenset[tuple[str, str]]:
    pairs = [word.partition(":") for word in re.split(r"[,\s]+", options[option]) if word]
    if any(not (application and role) for application, _, role in pairs):
        expected = "pairs such as ceph-rgw:ec2-reader, with commas or blanks between"
        raise ConfigError(option, options[option], expected)
    return frozenset((application, role) for application, _, role in pairs)
