"""Ceph's releases, and which of them a cluster may be upgraded to."""

from __future__ import annotations

from dataclasses import dataclass

from openinfra_charm.ceph.daemon import number


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A release of Ceph. `loads_bcrypt` says whether its manager can load modules that need bcrypt (PyO3)."""

    name: str
    loads_bcrypt: bool = True


RELEASES = {
    18: Release(name="reef", loads_bcrypt=False),
    19: Release(name="squid"),
    20: Release(name="tentacle"),
}
"""Ceph's releases by major version: what is different from one to the next is here."""
MOST_RELEASES = 2
"""How many releases an upgrade may go on at once (Ceph's release notes: from N-2 on)."""


def major(version: str) -> int:
    """Return the major version of Ceph: 18 for `18.2.7`."""
    return number(version)[0]


def major_of(name: str) -> int:
    """Return the major version of a release by its name; 0 for one that is older than all that are known here."""
    return next((found for found, release in RELEASES.items() if release.name == name), 0)


def why_not(installed: str, candidate: str, required: int) -> str | None:
    """Return why Ceph cannot be upgraded to this version.

    Args:
        installed: The version that is installed.
        candidate: The version that would be.
        required: The least major version that the cluster requires of its OSDs.
    """
    new = major(candidate)
    if number(candidate) < number(installed):
        return f"it has Ceph {candidate}, and {installed} is installed: Ceph cannot go back, set source as it was"
    if new not in RELEASES:
        known = ", ".join(f"{found} ({release.name})" for found, release in RELEASES.items())
        return f"it has Ceph {candidate}, and this charm knows {known}: juju refresh it first"
    if new - min(major(installed), required) > MOST_RELEASES:
        last = min(major(installed), required) + MOST_RELEASES
        return (
            f"Ceph {installed} (the cluster requires {required}) cannot be upgraded to {candidate} at once, as Ceph goes on by "
            f"{MOST_RELEASES} releases at most: name a source of Ceph {last} first"
        )
    return None
