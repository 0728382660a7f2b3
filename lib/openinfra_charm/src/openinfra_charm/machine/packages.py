"""Packages of the distribution: dpkg and apt."""

from __future__ import annotations

import contextlib
import fcntl
import json
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_charm.machine.files import Files

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

NO_START = "/usr/sbin/policy-rc.d"
"""Debian's switch (invoke-rc.d's policy layer) for "do not start services when packages install"."""
_POLICY = "#!/bin/sh\n# Written by openinfra while it installs packages.\nexit 101\n"
_APT_LOCK = "/var/lib/dpkg/lock-frontend"
_STATUS = Path("/var/lib/dpkg/status")
_PENDING = Path("/var/lib/dpkg/updates")
"""dpkg's database, which it replaces by a new file, and what is not in that yet (dpkg's lib/dpkg/dbmodify.c)."""
_ANSWERS = "/run/openinfra/packages.json"
"""What dpkg-query has said, and of which database."""
APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "PYTHONPATH": ""}
"""What keeps apt-get and dpkg from asking, and from restarting services; and a new Python from the old one's modules, which
a hook's and a job's own path may name."""


class Packages(Files):
    """The machine's packages."""

    def package_versions(self, names: Iterable[str]) -> dict[str, str]:
        """Return the versions of those packages that are installed."""
        wanted = tuple(names)
        database = _database()
        known = self._answers(database)
        if new := [name for name in wanted if name not in known]:
            known |= dict.fromkeys(new, "") | self._query_versions(new)
            if database:
                answers = {"database": database, "versions": known}
                self.write(_ANSWERS, f"{json.dumps(answers, indent=1, sort_keys=True)}\n")
        return {name: known[name] for name in wanted if known[name]}

    def _answers(self, database: str) -> dict[str, str]:
        """Return the versions that dpkg-query has said before (empty: not installed), as long as its database is the same."""
        answers = json.loads((database and self.read(_ANSWERS)) or "{}")
        return answers["versions"] if answers.get("database") == database else {}

    def _query_versions(self, names: Iterable[str]) -> dict[str, str]:
        form = "${Package}\t${db:Status-Status}\t${Version}\n"
        asked = self.run("dpkg-query", "-W", "-f", form, *names, check=False)
        rows = (line.split("\t") for line in asked.stdout.splitlines())
        return {name: version for name, status, version in rows if status == "installed"}

    def installed_from(self, source: str) -> list[str]:
        """Return the packages that are installed and were made of this source package, sorted."""
        form = "${db:Status-Status}\t${source:Package}\t${Package}\n"
        rows = self.run("dpkg-query", "-W", "-f", form).stdout.splitlines()
        found = (row.split("\t") for row in rows)
        return sorted(name for status, made_of, name in found if (status, made_of) == ("installed", source))

    def install_packages(self, names: Iterable[str], *, release: str = "", keep_all: bool = False) -> None:
        """Install packages without their recommendations, or newer versions of them; none of them starts a service.

        Args:
            names: The packages.
            release: Where they, and what they need, are taken from rather than from elsewhere, as apt_preferences(5) has
                it: `o=Debian,n=forky`. Empty: as apt is configured.
            keep_all: Whether it fails where others would have to be removed for them.

        Raises:
            CommandError: apt could not install them.
        """
        wanted = tuple(names)
        options = (
            *(("--target-release", release) if release else ()),
            *(("--no-remove",) if keep_all else ()),
            "-q",
            "-y",
            "--no-install-recommends",
            "-o",
            "DPkg::Lock::Timeout=300",
            "-o",
            "Dpkg::Options::=--force-confold",
        )
        with self._services_held():
            if self.run("dpkg", "--audit", check=False).stdout:
                # An interrupted dpkg (a power loss) refuses all work until it has been finished.
                finished = self.run(
                    "dpkg", "--force-confold", "--configure", "-a", env=APT_ENVIRONMENT, timeout=600, check=False
                )  # fmt: skip
                if finished.code:
                    # What cannot be configured needs others that had not been unpacked.
                    self.run("apt-get", "--fix-broken", "install", *options, env=APT_ENVIRONMENT, timeout=900)
            done = self.run(
                "apt-get", "install", *options, *wanted, env=APT_ENVIRONMENT, timeout=900, check=False
            )
            if done.code:
                self.run("apt-get", "update", "-q", env=APT_ENVIRONMENT, timeout=300)
                self.run("apt-get", "install", *options, *wanted, env=APT_ENVIRONMENT, timeout=900)

    def kept_packages(self) -> set[str]:
        """Return the packages that were asked for: apt keeps them, whether or not another one needs them."""
        return set(self.run("apt-mark", "showmanual").stdout.split())

    def keep_packages(self, names: Iterable[str]) -> None:
        """Have apt keep packages that are installed because others need them."""
        self.run("apt-mark", "manual", *names)

    def remove_packages(self, names: Iterable[str]) -> None:
        """Remove packages that nothing else needs, and what only they needed; their configuration stays with the operator.

        What the operator could have removed before is left to him.
        """
        before = self._unneeded_packages()
        self.run("apt-mark", "auto", *names)
        if unneeded := self._unneeded_packages() - before:
            self.run("apt-get", "remove", "-q", "-y", *sorted(unneeded), env=APT_ENVIRONMENT, timeout=600)

    def _unneeded_packages(self) -> set[str]:
        """Return what `apt-get autoremove` would remove. It prints: Remv NAME [VERSION]."""
        lines = self.run("apt-get", "--simulate", "--quiet", "autoremove").stdout.splitlines()
        return {line.split()[1] for line in lines if line.startswith("Remv ")}

    @contextlib.contextmanager
    def _services_held(self) -> Generator[None]:
        """Keep packages from starting what they install; an operator's own policy has its place again afterwards."""
        aside = f"{NO_START}.before-openinfra"
        if not _is_ours(present := self.read(NO_START)) and present is not None:
            self._rename(NO_START, aside)
        self.write(NO_START, _POLICY, mode=0o755)
        try:
            yield
        finally:
            self._release_services(aside)

    def _release_services(self, aside: str) -> None:
        if self.exists(aside):
            self._rename(aside, NO_START)
        else:
            self.remove(NO_START)

    def let_services_start(self) -> bool:
        """Let packages start services again where an installation of ours that was killed has left them kept from it.

        Returns:
            Whether one had, and nobody installs anything now.
        """
        if not _is_ours(self.read(NO_START)) or self._is_installing():
            return False
        self._release_services(f"{NO_START}.before-openinfra")
        return True

    def _is_installing(self) -> bool:
        """Return whether apt or dpkg work: they hold this lock (apt's apt-pkg/deb/debsystem.cc)."""
        with Path(_APT_LOCK).open("w", encoding="ascii") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False


def _is_ours(policy: str | None) -> bool:
    return policy == _POLICY


def _database() -> str:
    """Return what tells dpkg's database from any other; empty while dpkg is at work, or where it was interrupted."""
    try:
        found = _STATUS.stat()
        return "" if any(_PENDING.iterdir()) else f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"
    except FileNotFoundError:
        return ""
