"""An archive of packages, asked for its version of Ceph before apt knows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.ceph.daemon import number
from openinfra_charm.daemon import registry
from openinfra_charm.machine import APT_ENVIRONMENT, CommandError

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine
    from source import Source

PACKAGE = "ceph-common"
"""The package whose version is Ceph's."""
_CLOUD_KEYRING = "ubuntu-cloud-keyring"
_FIELDS = ("o", "n", "l")
"""What names a release in its archive's Release file and does not change: origin, codename, label (apt_preferences(5))."""


class PackagesError(Exception):
    """The packages cannot come from there; the message says why, and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What an archive has: its release, as apt_preferences(5) names it (empty: the distribution's), and its version of Ceph."""

    release: str
    version: str


def ask(machine: Machine, source: Source, *, present: Source, scratch: str) -> Offer:
    """Ask an archive what it has. Nobody else sees the archive meanwhile.

    Args:
        machine: Where apt asks.
        source: The archive.
        present: The one that apt knows already: the distribution's own offer does not include it.
        scratch: A folder for what apt is given; it is removed again.

    Raises:
        PackagesError: It does not answer, has no Ceph, or is for another machine.
    """
    options: tuple[str, ...] = ()
    if source.line:
        _check_series(machine, source)
        options = _stage(machine, source, scratch)
    try:
        machine.run("apt-get", *options, "-q", "update", env=APT_ENVIRONMENT, timeout=300)
        rows = machine.run("apt-cache", *options, "madison", PACKAGE).stdout
        policy = machine.run("apt-cache", *options, "policy").stdout if source.line else ""
    except (CommandError, TimeoutError) as error:
        raise PackagesError(f"{source.words}: {brief(error)}") from error
    finally:
        machine.remove(scratch)
    # ` ceph-common | 20.2.4+ds-2 | http://deb.debian.org/debian forky/main amd64 Packages`
    found = [[part.strip() for part in row.split(" | ")] for row in rows.splitlines()]
    own = (f"{present.place}/", f"{present.place} ") if present.line and not source.line else ()
    versions = [registry.upstream(version) for _, version, where in found if not where.startswith(own)]
    if not versions:
        raise PackagesError(f"{source.words}: it has no Ceph for this machine")
    release = _release(policy)
    if source.line and not release:
        raise PackagesError(
            f"{source.words}: its Release file names neither an origin nor a codename nor a label"
        )
    return Offer(release=release, version=max(versions, key=number))


def _stage(machine: Machine, source: Source, scratch: str) -> tuple[str, ...]:
    """Write a source where only those options of apt's lead to it, and return them."""
    keyring, listed = f"{scratch}/key.asc", f"{scratch}/sources.list"
    machine.make_folder(scratch)
    if source.key:
        machine.write(keyring, source.key)
    machine.write(listed, f"{source.signed_line(keyring)}\n")
    words = (
        f"Dir::Etc::sourcelist={listed}", "Dir::Etc::sourceparts=-", "APT::Get::List-Cleanup=0",
        "APT::Update::Error-Mode=any", "Acquire::Languages=none",
    )  # fmt: skip
    return tuple(word for option in words for word in ("-o", option))


def _check_series(machine: Machine, source: Source) -> None:
    if not source.series:
        return
    known = dict(re.findall(r'^(\w+)="?([^"\n]*)', machine.read("/etc/os-release") or "", re.MULTILINE))
    if (known.get("ID"), known.get("VERSION_CODENAME")) != ("ubuntu", source.series):
        name = known.get("PRETTY_NAME", "something else")
        raise PackagesError(
            f"cloud:{source.series}-... is for Ubuntu {source.series}, and this machine runs {name}"
        )
    machine.install_packages([_CLOUD_KEYRING])


def _release(policy: str) -> str:
    """Return what names the one archive in the output of `apt-cache policy`: `o=Debian,a=testing,n=forky,l=Debian`."""
    for line in policy.splitlines():
        word, _, fields = line.strip().partition(" ")
        if word == "release" and fields != "a=now":
            # A value may have blanks, and commas too, in which case another field names the archive.
            return ",".join(field for field in fields.split(",") if field.partition("=")[0] in _FIELDS)
    return ""


def brief(error: Exception) -> str:
    """Return what apt says that it failed of."""
    lines = re.findall(r"^[EW]: (.+)$", error.stderr if isinstance(error, CommandError) else "", re.MULTILINE)
    return "; ".join(lines[:2]) or " ".join(str(error).split())[:300]
