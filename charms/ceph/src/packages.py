"""Ceph's packages on one machine: where apt takes them from, and newer versions of them."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING

from openinfra_charm.ceph.daemon import number
from openinfra_charm.daemon import registry
from openinfra_charm.machine import APT_ENVIRONMENT, CommandError
from source import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_charm.machine import Machine

NAMES = ("ceph-common", "ceph-mgr", "ceph-mon", "ceph-osd", "ceph-volume", "fdisk", "python3-rados")
_CLOUD_KEYRING = "ubuntu-cloud-keyring"
_FIELDS = ("o", "n", "l")
"""What names a release in its archive's Release file and does not change: origin, codename, label (apt_preferences(5))."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
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


class PackagesError(Exception):
    """The packages cannot come from there; the message says why, and what to do."""


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


class Packages:
    """Ceph's packages on this machine, and the archive that they come from.

    The archive is apt's like any other, but all that is in it has a low priority (apt_preferences(5)): nothing comes
    from it but Ceph, what Ceph needs in a newer version than there is otherwise, and later versions of these.
    """

    def __init__(self, machine: Machine, application: str) -> None:
        self._machine = machine
        self._application = application
        self._list = f"/etc/apt/sources.list.d/openinfra-{application}.list"
        self._pin = f"/etc/apt/preferences.d/openinfra-{application}"
        self._keyring = f"/etc/apt/keyrings/openinfra-{application}.asc"
        self._record = f"/var/lib/openinfra/{application}/source.json"
        self._mark = f"/var/lib/openinfra/{application}/installing.json"
        self._scratch = f"/run/openinfra/{application}-source"

    @property
    def paths(self) -> tuple[str, ...]:
        """What is written for apt."""
        return (self._list, self._pin, self._keyring)

    @property
    def source(self) -> Source:
        """Where the packages come from that are installed."""
        return Source(**self._recorded["source"]) if self._recorded else Source()

    @property
    def _recorded(self) -> dict[str, dict[str, str]]:
        return json.loads(self._machine.read(self._record) or "{}")

    @property
    def installed(self) -> str:
        """The version that is installed, such as `18.2.7`; empty before."""
        return registry.version(self._machine, NAMES[0])

    def install(self, source: Source) -> bool:
        """Install what is missing; return whether anything was.

        The source counts only where nothing is installed yet: see `upgrade`.

        Raises:
            PackagesError: The packages cannot come from this source.
        """
        new = source if not self.installed else self.source
        release = self._recorded.get("release", {}).get("words", "")
        if new.line and new != self.source:
            release, candidate = self._look(new)
            self._check(new, candidate, candidate, major(candidate))
            self._configure(new, release)
        if not registry.install(self._machine, self._application, NAMES, release=release):
            return False
        self._keep(new, release)
        return True

    @property
    def required(self) -> int | None:
        """Of an upgrade that has not come to its end: the least major version that the cluster required when it began.

        As long as it is not None, programs and libraries may be missing.
        """
        mark = self._machine.read(self._mark)
        return json.loads(mark)["required"] if mark else None

    def upgrade(self, source: Source, required: int, report: Callable[[str], None]) -> str:
        """Have the packages come from another source, in the versions that it has; return the version.

        No daemon is restarted. What was interrupted can be done again, also with another source.

        Args:
            source: Where from.
            required: The least major version that the cluster requires of its OSDs.
            report: Told how far it is.

        Raises:
            PackagesError: They cannot.
        """
        report(f"asking {source.words} for its versions")
        release, candidate = self._look(source)
        self._check(source, candidate, self.installed, required)
        report(f"installing Ceph {candidate}")
        self._machine.write(self._mark, json.dumps({"required": required}) + "\n")
        self._configure(source, release)
        try:
            # What others here need of Ceph (ceph-mds, radosgw) goes along: it is of one version.
            others = set(self._machine.installed_from("ceph")) & self._machine.kept_packages()
            self._machine.install_packages(sorted({*NAMES, *others}), release=release, keep_all=True)
        except (CommandError, TimeoutError) as error:
            raise PackagesError(f"{source.words}: {_brief(error)}") from error
        self._keep(source, release)
        self._machine.remove(self._mark)
        return self.installed

    def remove(self) -> None:
        """Have apt forget the source."""
        for path in (*self.paths, self._record, self._mark):
            self._machine.remove(path)

    # An archive

    def _look(self, source: Source) -> tuple[str, str]:
        """Ask an archive for its release, as apt_preferences(5) names it, and for its version of Ceph.

        Nobody else sees the archive meanwhile.
        """
        options: tuple[str, ...] = ()
        if source.line:
            self._check_series(source)
            options = self._stage(source)
        try:
            self._machine.run("apt-get", *options, "-q", "update", env=APT_ENVIRONMENT, timeout=300)
            rows = self._machine.run("apt-cache", *options, "madison", NAMES[0]).stdout
            policy = self._machine.run("apt-cache", *options, "policy").stdout if source.line else ""
        except (CommandError, TimeoutError) as error:
            raise PackagesError(f"{source.words}: {_brief(error)}") from error
        finally:
            self._machine.remove(self._scratch)
        # ` ceph-common | 20.2.4+ds-2 | http://deb.debian.org/debian forky/main amd64 Packages`
        found = [[part.strip() for part in row.split(" | ")] for row in rows.splitlines()]
        own = (
            (f"{self.source.place}/", f"{self.source.place} ") if self.source.line and not source.line else ()
        )
        versions = [registry.upstream(version) for _, version, where in found if not where.startswith(own)]
        if not versions:
            raise PackagesError(f"{source.words}: it has no Ceph for this machine")
        release = _release(policy)
        if source.line and not release:
            raise PackagesError(
                f"{source.words}: its Release file names neither an origin nor a codename nor a label"
            )
        return release, max(versions, key=number)

    def _stage(self, source: Source) -> tuple[str, ...]:
        """Write a source where only those options of apt's lead to it, and return them."""
        keyring, listed = f"{self._scratch}/key.asc", f"{self._scratch}/sources.list"
        self._machine.make_folder(self._scratch)
        if source.key:
            self._machine.write(keyring, source.key)
        self._machine.write(listed, f"{source.signed_line(keyring)}\n")
        words = (
            f"Dir::Etc::sourcelist={listed}", "Dir::Etc::sourceparts=-", "APT::Get::List-Cleanup=0",
            "APT::Update::Error-Mode=any", "Acquire::Languages=none",
        )  # fmt: skip
        return tuple(word for option in words for word in ("-o", option))

    def _check_series(self, source: Source) -> None:
        if not source.series:
            return
        told = dict(
            re.findall(r'^(\w+)="?([^"\n]*)', self._machine.read("/etc/os-release") or "", re.MULTILINE)
        )
        if (told.get("ID"), told.get("VERSION_CODENAME")) != ("ubuntu", source.series):
            name = told.get("PRETTY_NAME", "something else")
            raise PackagesError(
                f"cloud:{source.series}-... is for Ubuntu {source.series}, and this machine runs {name}"
            )
        self._machine.install_packages([_CLOUD_KEYRING])

    def _check(self, source: Source, candidate: str, installed: str, required: int) -> None:
        if why := why_not(installed, candidate, required):
            raise PackagesError(f"{source.words}: {why}")

    def _configure(self, source: Source, release: str) -> None:
        """Have apt know the archive; its priority comes first."""
        if not source.line:
            for path in self.paths:
                self._machine.remove(path)
            return
        head = f"# Written by the charm {self._application}; changes here are lost.\n"
        self._machine.write(self._pin, f"{head}Package: *\nPin: release {release}\nPin-Priority: 100\n")
        if source.key:
            self._machine.write(self._keyring, source.key)
        else:
            self._machine.remove(self._keyring)
        self._machine.write(self._list, f"{head}{source.signed_line(self._keyring)}\n")

    def _keep(self, source: Source, release: str) -> None:
        kept = {"source": dataclasses.asdict(source), "release": {"words": release}}
        self._machine.write(self._record, json.dumps(kept, indent=1, sort_keys=True) + "\n")


def _release(policy: str) -> str:
    """Return what names the one archive in the output of `apt-cache policy`: `o=Debian,a=testing,n=forky,l=Debian`."""
    for line in policy.splitlines():
        word, _, fields = line.strip().partition(" ")
        if word == "release" and fields != "a=now":
            # A value may have blanks, and commas too, in which case another field names the archive.
            known = [field for field in fields.split(",") if field.partition("=")[0] in _FIELDS]
            return ",".join(known)
    return ""


def _brief(error: Exception) -> str:
    """Return what apt says that it failed of."""
    told = re.findall(r"^[EW]: (.+)$", error.stderr if isinstance(error, CommandError) else "", re.MULTILINE)
    return "; ".join(told[:2]) or " ".join(str(error).split())[:300]
