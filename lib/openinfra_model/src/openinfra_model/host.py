"""This machine: its distribution, the packages that the engine needs, and the kernel's limits."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What a machine full of containers needs; many system managers share the kernel's limits.
SYSCTLS: Mapping[str, int] = {
    "fs.aio-max-nr": 1048576,  # every OSD takes about a thousand
    "fs.inotify.max_user_instances": 8192,
    "fs.inotify.max_user_watches": 524288,
    "kernel.keys.maxkeys": 2000,
    "net.ipv4.ip_forward": 1,  # LXD sets it with the bridge; noted here so that `down` can restore it
}

_PACKAGES = ("lxd", "lxcfs", "mmdebstrap", "squashfs-tools", "dnsmasq-base", "nftables")
# Ubuntu has LXD as a snap, which its own `lxd-installer` would bring only when somebody calls `lxc`.
_UBUNTU_PACKAGES = ("snapd", "mmdebstrap", "squashfs-tools")
_SNAP = "lxd"
_LOCK_SECONDS = 300
_SNAPS = Path("/var/snap")


class HostError(Exception):
    """This machine cannot do what was asked; the message says why and what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The host's distribution, as `/etc/os-release` names it."""

    id: str
    codename: str


def distribution(os_release: Path = Path("/etc/os-release")) -> Distribution:
    """Read which distribution this is.

    Raises:
        HostError: it is neither Debian nor Ubuntu.
    """
    fields = dict(
        line.split("=", 1) for line in os_release.read_text(encoding="utf-8").splitlines() if "=" in line
    )
    found = Distribution(
        id=fields.get("ID", "").strip('"'), codename=fields.get("VERSION_CODENAME", "").strip('"')
    )
    if found.id not in {"debian", "ubuntu"}:
        raise HostError(
            f"this machine runs {found.id!r}; openinfra needs Debian 12 or newer, or Ubuntu 24.04 or newer"
        )
    return found


def require_root() -> None:
    """Raise HostError unless this process may manage machines."""
    if os.geteuid() != 0:
        raise HostError("machines can only be managed by root: run the command again with sudo")


def has_systemd() -> bool:
    """Tell whether systemd manages this host's services (the test of sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def architecture() -> str:
    """Juju's name of this machine's architecture."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def missing_packages() -> list[str]:
    """Name the packages that the engine needs and this machine does not have; on Ubuntu the snap of LXD is among them."""
    is_ubuntu = distribution().id == "ubuntu"
    wanted = _UBUNTU_PACKAGES if is_ubuntu else _PACKAGES
    listing = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True,
        text=True,
        check=False,  # fails when one is unknown, which is an answer
    )
    installed = {line.split()[0] for line in listing.stdout.splitlines() if line.endswith(" installed")}
    snaps = [_SNAP] if is_ubuntu and not (_SNAPS / _SNAP).exists() else []
    return [package for package in wanted if package not in installed] + snaps


def install_packages(packages: Sequence[str]) -> None:
    """Install what `missing_packages` named, from the host's archive and, on Ubuntu, LXD from the store of snaps.

    Raises:
        HostError: the archive or the store cannot be reached or a package cannot be installed.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    snaps = [package for package in packages if package == _SNAP and distribution().id == "ubuntu"]
    archives = [package for package in packages if package not in snaps]
    commands = [["snap", "install", snap] for snap in snaps]
    if archives:
        # A fresh machine may be at its security updates, which hold dpkg's lock.
        wait = ["-o", f"DPkg::Lock::Timeout={_LOCK_SECONDS}"]
        install = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *wait, *archives]
        commands = [["apt-get", "update", "--quiet"], install, *commands]
    for command in commands:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise HostError(
                f"`{' '.join(command)}` failed:\n{done.stderr.strip()}\n"
                "check that this machine reaches its package archive (/etc/apt/sources.list; snaps: `snap debug connectivity`)"
            )


def raise_limits(record: Path) -> None:
    """Raise the kernel's limits to SYSCTLS, noting in `record` what they were before.

    Raises:
        HostError: the kernel refuses a value.
    """
    before: dict[str, int] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    for name, wanted in SYSCTLS.items():
        current = int(_sysctl(name).read_text(encoding="ascii"))
        if current < wanted:
            before.setdefault(name, current)
            _set_sysctl(name, wanted)
    record.write_text(json.dumps(before), encoding="utf-8")


def restore_limits(record: Path) -> None:
    """Put back the limits that `raise_limits` noted."""
    if record.exists():
        for name, value in json.loads(record.read_text(encoding="utf-8")).items():
            _set_sysctl(name, value)
        record.unlink()


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the host's main IPv4 table."""

    interface: str
    network: IPv4Network


def routes() -> list[Route]:
    """Read the host's IPv4 routes (proc_net_route: addresses in hexadecimal, in the machine's byte order)."""
    lines = Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]
    found: list[Route] = []
    for line in lines:
        interface, destination, *_, mask = line.split()[:8]
        address, netmask = (int(word, 16).to_bytes(4, sys.byteorder) for word in (destination, mask))
        prefix = int.from_bytes(netmask, "big").bit_count()
        found.append(Route(interface, IPv4Network((address, prefix))))
    return found


def default_mtu() -> int:
    """Read the largest packet, in bytes, that leaves on the host's default route (1500 without one)."""
    for route in routes():
        if route.network.prefixlen == 0:
            return int(Path(f"/sys/class/net/{route.interface}/mtu").read_text(encoding="ascii"))
    return 1500


def unused_network() -> IPv4Network:
    """Find a /24 for the machines that no route of the host, but the default one, leads to.

    Raises:
        HostError: there is none in 10.77.0.0/16.
    """
    taken = [route.network for route in routes() if route.network.prefixlen > 0]
    for network in IPv4Network("10.77.0.0/16").subnets(new_prefix=24):
        if not any(network.overlaps(other) for other in taken):
            return network
    raise HostError("every network in 10.77.0.0/16 is routed already: free one for the machines")


def _sysctl(name: str) -> Path:
    return Path("/proc/sys", *name.split("."))


def _set_sysctl(name: str, value: int) -> None:
    try:
        _sysctl(name).write_text(str(value), encoding="ascii")
    except OSError as error:
        raise HostError(f"cannot set {name} to {value}: {error.strerror}") from error
