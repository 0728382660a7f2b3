"""The packages that have a newer version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.machine import Machine

UPGRADE = ("--with-new-pkgs", "upgrade")
"""apt-get's words for: upgrade all, install what that needs, remove nothing."""
# apt-get --simulate prints: Inst NAME [INSTALLED] (AVAILABLE ORIGIN, ORIGIN [ARCHITECTURE])
_LINE = re.compile(
    r"Inst (?P<name>\S+) \[(?P<installed>\S+)\] \((?P<available>\S+) (?P<origins>.*) \[\S+\]\)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Update:
    """A package that can be upgraded; `applications` are those on this machine that need it."""

    package: str
    installed: str
    available: str
    security: bool
    applications: tuple[str, ...]


def pending(machine: Machine, needed: Mapping[str, list[str]]) -> list[Update]:
    """Return what an upgrade would bring, by the package lists that the machine has.

    Args:
        machine: Whose packages.
        needed: The packages that each application needs.

    Raises:
        CommandError: apt-get cannot work, for example after an interrupted installation.
    """
    lines = machine.run("apt-get", "--simulate", "--quiet", *UPGRADE).stdout.splitlines()
    found = (match for line in lines if (match := _LINE.match(line)))
    return [
        Update(
            package=match["name"],
            installed=match["installed"],
            available=match["available"],
            # Debian-Security:13/stable-security, Ubuntu:24.04/noble-security
            security="-security" in match["origins"],
            applications=tuple(sorted(app for app, names in needed.items() if match["name"] in names)),
        )
        for match in found
    ]
