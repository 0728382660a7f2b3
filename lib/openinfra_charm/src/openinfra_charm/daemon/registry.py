"""What applications on one machine must know of each other: packages in use, who owns a daemon, what they have there.

Applications share machines without containers between them, so each records what it uses here, where the
others and the `host` charm look.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_charm.machine import Machine

PACKAGES = "/etc/openinfra/packages.d"
"""One file an application, a package a line: what it needs. Upgrades of these are rolled by their charm."""
INSTALLED = "/var/lib/openinfra/packages"
"""A package a line: what was not asked for on this machine before an application did. Only these are ever removed."""
OWNERS = "/var/lib/openinfra/owners"
"""One file for each thing that only one unit of a machine may manage (a daemon, the host's baseline), naming that unit."""
CHECKS = ("safe-to-stop", "after-start")
"""Kinds of checks that an application leaves in /usr/lib/openinfra/<kind>.d: exit code 0, or 1 and the reason."""
BEFORE_STOP = "before-stop"
"""The kind of those that do something when the machine is about to stop, and have not just been asked; few need one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """What an application puts on a machine, beside the services that it starts through `service.Services`.

    `daemon` is what only one unit of a machine may run, `does` what that unit does, in words: `runs memcached on this machine`. `paths` are
    files and folders that go with the unit, `data` folders of users' data that do not. `user` is a user of its own.
    """

    daemon: str = ""
    does: str = ""
    paths: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    user: str = ""


def claim(machine: Machine, thing: str, unit: str) -> str:
    """Record `unit` as the owner of `thing` unless it has one; return the owner."""
    known = owner(machine, thing)
    if not known:
        machine.write(f"{OWNERS}/{thing}", f"{unit}\n")
    return known or unit


def owner(machine: Machine, thing: str) -> str:
    """Return the unit that owns `thing`; empty where nobody does."""
    return (machine.read(f"{OWNERS}/{thing}") or "").strip()


def disclaim(machine: Machine, thing: str, unit: str) -> None:
    """Release what `unit` owns; what another one owns is left alone."""
    if owner(machine, thing) == unit:
        machine.remove(f"{OWNERS}/{thing}")


def install(machine: Machine, application: str, packages: Iterable[str], *, release: str = "") -> bool:
    """Install what is missing of an application's packages, and record them as needed; return whether it did.

    What an earlier version of the application needed, and this one does not, is removed as `uninstall` does.

    Args:
        machine: Where.
        application: The application.
        packages: All that it needs.
        release: Where apt takes them from, as `Machine.install_packages` has it.
    """
    machine.let_services_start()
    wanted = sorted(packages)
    installed = machine.package_versions(wanted)
    before = _lines(machine, f"{PACKAGES}/{application}")
    if set(wanted) != before:
        _remove(machine, _unneeded(machine, application, before - set(wanted)))
        new = set(wanted) - machine.kept_packages()
        _write_lines(machine, INSTALLED, _lines(machine, INSTALLED) | new)
        if present := sorted(new & installed.keys()):
            machine.keep_packages(present)
        _write_lines(machine, f"{PACKAGES}/{application}", wanted)
    missing = [name for name in wanted if name not in installed]
    if missing:
        machine.install_packages(missing, release=release)
    return bool(missing)


def uninstall(machine: Machine, application: str) -> None:
    """Remove an application's packages, but for those that this machine had before, and those that others here need.

    What another application's packages depend on is needed too.
    """
    unused = _unneeded(machine, application, _lines(machine, f"{PACKAGES}/{application}"))
    _remove(machine, unused)
    _forget(machine, application, unused)


def leave(machine: Machine, application: str) -> None:
    """Give an application's packages up, which stay as if the machine had had them before."""
    _forget(machine, application, _lines(machine, f"{PACKAGES}/{application}"))


def version(machine: Machine, package: str) -> str:
    """Return the version of a package as its makers call it, such as `18.2.7`; empty before it is installed."""
    return upstream(machine.package_versions((package,)).get(package, ""))


def upstream(version: str) -> str:
    """Return what a package's version (`2:18.2.7+ds-1`) is called by its makers: `18.2.7`."""
    return re.split(r"[+~-]", version.rpartition(":")[2])[0]


def leave_check(machine: Machine, kind: str, application: str, *command: str) -> None:
    """Leave a check (`kind` is one of `CHECKS`, or `BEFORE_STOP`) that runs `command`, a program and its plain arguments.

    It is run by `host` before a machine stops and after it has started; it prints why when it fails.
    """
    machine.write(
        f"/usr/lib/openinfra/{kind}.d/{application}", f"#!/bin/sh\nexec {' '.join(command)}\n", mode=0o755
    )


def remove_checks(machine: Machine, application: str) -> None:
    """Take an application's checks away."""
    for kind in (*CHECKS, BEFORE_STOP):
        machine.remove(f"/usr/lib/openinfra/{kind}.d/{application}")


def _unneeded(machine: Machine, application: str, packages: set[str]) -> set[str]:
    """Return those of an application's packages that this machine did not have before and that no other here needs."""
    others = {
        name
        for other in machine.list_folder(PACKAGES)
        if other != application
        for name in _lines(machine, f"{PACKAGES}/{other}")
    }
    return (packages & _lines(machine, INSTALLED)) - others


def _remove(machine: Machine, packages: set[str]) -> None:
    if present := sorted(machine.package_versions(packages)):
        machine.remove_packages(present)
    if packages:
        _keep_installed(machine, _lines(machine, INSTALLED) - packages)


def _keep_installed(machine: Machine, packages: set[str]) -> None:
    """Record what was not asked for on this machine before an application did."""
    if packages:
        _write_lines(machine, INSTALLED, packages)
    else:
        machine.remove(INSTALLED)


def _forget(machine: Machine, application: str, packages: set[str]) -> None:
    """Take an application off the record, and packages that nobody here removes any more."""
    machine.remove(f"{PACKAGES}/{application}")
    _keep_installed(machine, _lines(machine, INSTALLED) - packages)


def _lines(machine: Machine, path: str) -> set[str]:
    return set((machine.read(path) or "").splitlines())


def _write_lines(machine: Machine, path: str, lines: Iterable[str]) -> None:
    machine.write(path, "".join(f"{line}\n" for line in sorted(lines)))
