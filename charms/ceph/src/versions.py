"""Which versions the daemons of a cluster run, and which of them are restarted next."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.ceph.daemon import number

if TYPE_CHECKING:
    from admin import Admin

MOST_NAMED = 3
"""How many daemons a status names."""
WORDS = {"mon": "monitors", "mgr": "managers", "osd": "OSDs"}
"""The kinds of daemons, in the order in which they are restarted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Daemon:
    """A daemon of the cluster as its metadata have it."""

    kind: str
    name: str
    version: str
    host: str

    def __str__(self) -> str:
        """Return what people call it."""
        return f"{self.kind}.{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """All daemons of the cluster with the versions that they run, or ran last.

    `last` are those that are restarted when all others of their kind have been: the active manager, whose place a standby
    takes that has been restarted, and the leading monitor. As soon as that is a later version managers may start anew by
    themselves, since it has other modules for them, and so run the later version.
    """

    daemons: tuple[Daemon, ...]
    last: frozenset[str] = frozenset()

    @classmethod
    def ask(cls, admin: Admin) -> Running:
        """Ask the cluster.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        found = [_daemon(kind, entry) for kind in WORDS for entry in admin.command(f"{kind} metadata")]
        last = {
            f"mgr.{admin.command('mgr dump')['active_name']}",
            f"mon.{admin.command('quorum_status')['quorum_leader_name']}",
        }
        return cls(daemons=tuple(daemon for daemon in found if daemon.version), last=frozenset(last))

    def of(self, kind: str) -> list[Daemon]:
        """Return the daemons of a kind."""
        return [daemon for daemon in self.daemons if daemon.kind == kind]

    def older(self, kind: str, version: str) -> list[Daemon]:
        """Return those daemons of a kind that run an older version."""
        return [daemon for daemon in self.of(kind) if number(daemon.version) < number(version)]

    def progress(self, version: str) -> str:
        """Return how far the upgrade to this version is, in words; empty where no daemon is older."""
        for kind, words in WORDS.items():
            if older := self.older(kind, version):
                oldest = min((daemon.version for daemon in self.daemons), key=number)
                here = len(self.of(kind))
                return (
                    f"upgrading Ceph {oldest} to {version}: {here - len(older)} of {here} {words} restarted"
                )
        return ""

    def left(self, version: str) -> str:
        """Return the daemons that are restarted next, with their machines."""
        older = next((found for kind in WORDS if (found := self.older(kind, version))), [])
        return ", ".join(f"{daemon} on {daemon.host}" for daemon in older[:MOST_NAMED])

    def why_not_yet(self, kind: str, name: str, version: str) -> str:
        """Return what the restart of a daemon into this version has to wait for; empty where it may be now."""
        kinds = list(WORDS)
        for earlier in kinds[: kinds.index(kind)]:
            if older := self.older(earlier, version):
                return f"{', '.join(map(str, older))} first"
        others = [daemon for daemon in self.older(kind, version) if daemon.name != name]
        return f"{', '.join(map(str, others))} first" if others and f"{kind}.{name}" in self.last else ""


def running(admin: Admin) -> set[str]:
    """Return the versions that the cluster's monitors, managers and OSDs run.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    found = admin.command("versions")
    return {version_in(words) for kind in WORDS for words in found.get(kind, {})}


def oldest(admin: Admin) -> str:
    """Return the version that all monitors, managers and OSDs run at least.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    return min(running(admin), key=number, default="")


def _daemon(kind: str, entry: dict[str, Any]) -> Daemon:
    # One that has never been up has no more than its name.
    name = str(entry["id"] if "id" in entry else entry["name"])
    host = entry.get("hostname", "")
    return Daemon(kind=kind, name=name, version=version_in(entry.get("ceph_version", "")), host=host)


def version_in(words: str) -> str:
    """Return the version in `ceph version 18.2.7 (6b0e9880...) reef (stable)`."""
    found = re.search(r"ceph version (\d+\.\d+\.\d+)", words)
    return found[1] if found else ""
