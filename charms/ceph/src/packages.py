"""Ceph's packages on one machine: installed, and upgraded to what another archive has."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import archive
from archive import PackagesError
from openinfra_charm.daemon import registry
from openinfra_charm.machine import CommandError
from releases import major, why_not
from source import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_charm.machine import Machine

NAMES = ("ceph-common", "ceph-mgr", "ceph-mon", "ceph-osd", "fdisk", "python3-rados")
"""What is asked for; `fdisk` has sfdisk(8), which nothing of Ceph's needs."""


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
            offer = self._ask(new)
            _check(new, offer, offer.version, major(offer.version))
            release = offer.release
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
            report: What takes the progress, in words.

        Raises:
            PackagesError: They cannot.
        """
        report(f"asking {source.words} for its versions")
        offer = self._ask(source)
        _check(source, offer, self.installed, required)
        release = offer.release
        report(f"installing Ceph {offer.version}")
        self._machine.write(self._mark, json.dumps({"required": required}) + "\n")
        self._configure(source, release)
        try:
            # What others here need of Ceph (ceph-mds, radosgw) goes along: it is of one version.
            others = set(self._machine.installed_from("ceph")) & self._machine.kept_packages()
            self._machine.install_packages(sorted({*NAMES, *others}), release=release, keep_all=True)
        except (CommandError, TimeoutError) as error:
            raise PackagesError(f"{source.words}: {archive.brief(error)}") from error
        self._keep(source, release)
        self._machine.remove(self._mark)
        return self.installed

    def remove(self) -> None:
        """Have apt forget the source."""
        for path in (*self.paths, self._record, self._mark):
            self._machine.remove(path)

    def _ask(self, source: Source) -> archive.Offer:
        return archive.ask(self._machine, source, present=self.source, scratch=self._scratch)

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


def _check(source: Source, offer: archive.Offer, installed: str, required: int) -> None:
    if why := why_not(installed, offer.version, required):
        raise PackagesError(f"{source.words}: {why}")
