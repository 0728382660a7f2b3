"""The guest's system: Debian with its own kernel, MariaDB and Ceph, made from the host's package archive, and cached."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_model import host
from openinfra_model.machines import image

if TYPE_CHECKING:
    from collections.abc import Callable

CACHE = Path("/var/cache/openinfra/images")
BASE = "ubuntu@24.04"
SIZE = "6G"
"""Of the sparse file; it takes what is written."""
HOST_PACKAGES = ("e2fsprogs", "mmdebstrap", "qemu-system-x86", "qemu-utils")

_PACKAGES = (
    "btrfs-progs",
    "dbus",
    "e2fsprogs",
    "fdisk",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "procps",
    "python3",
    "systemd",
    "systemd-sysv",
    "udev",
    "util-linux-extra",
    "xfsprogs",
    "zstd",
)
# Those of the charms: they install nothing where these are.
_WORKLOADS = (
    "ceph-common",
    "ceph-mgr",
    "ceph-mon",
    "ceph-osd",
    "galera-4",
    "mariadb-backup",
    "mariadb-client",
    "mariadb-server",
    "python3-rados",
    "socat",
)
_KERNELS = {"debian": "linux-image-cloud-amd64"}

_AGENT_UNIT = """\
[Unit]
Description=What the test of a power loss has done in its guest
After=local-fs.target

[Service]
ExecStartPre=/bin/mkdir -p /srv/payload
ExecStartPre=/bin/tar -xf /dev/disk/by-id/virtio-payload -C /srv/payload
ExecStart=/usr/bin/python3 /srv/payload/agent.py
KillMode=process

[Install]
WantedBy=multi-user.target
"""

_FILES = {
    "etc/fstab": "/dev/disk/by-id/virtio-root / ext4 defaults 0 1\n",
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost guest\n",
    "etc/systemd/system/agent.service": _AGENT_UNIT,
    # What the first boot needs, and no more: a small initial file system is read in no time.
    "usr/share/initramfs-tools/conf.d/guest": "MODULES=list\n",
    "usr/share/initramfs-tools/modules.d/guest": "virtio_pci\nvirtio_blk\next4\n",
}
_CUSTOMISE = (
    'systemctl --quiet --root "$1" enable agent',
    'systemctl --quiet --root "$1" mask apt-daily.timer apt-daily-upgrade.timer nvmf-autoconnect systemd-firstboot',
    'systemctl --quiet --root "$1" disable mariadb ceph-crash 2>/dev/null || true',
    'rm -f "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*_*',
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """What a guest is started from; nobody writes to it."""

    root: Path
    kernel: Path
    initrd: Path


def prepare_host(*, tell: Callable[[str], None]) -> None:
    """Install what the guests need on this machine, and say so.

    Raises:
        HostError: It is of another distribution, this is not root, or the packages cannot be installed.
    """
    host.require_root()
    missing = [name for name in HOST_PACKAGES if not _is_installed(name)]
    if missing:
        tell(f"installing {' '.join(missing)}")
        host.install_packages(missing)


def ensure(*, tell: Callable[[str], None]) -> Image:
    """Return the image, made unless it is cached.

    Raises:
        HostError: There is none for this distribution.
    """
    distribution = host.distribution().id
    if distribution not in _KERNELS:
        raise host.HostError(f"no guest on {distribution}: its kernel for virtual machines is not known here")
    recipe = image.recipe(BASE)
    packages = (*_PACKAGES, *_WORKLOADS, _KERNELS[distribution])
    content = json.dumps([recipe.release, recipe.sources, packages, _FILES, _CUSTOMISE, SIZE])
    folder = CACHE / f"guest-{recipe.release}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    if not folder.exists():
        tell(f"making {folder}")
        _build(folder, recipe.release, packages, recipe.sources)
    return Image(root=folder / "root.img", kernel=folder / "vmlinuz", initrd=folder / "initrd.img")


def _build(folder: Path, release: str, packages: tuple[str, ...], sources: tuple[str, ...]) -> None:
    """Make the image beside its final place, then rename: a half-made one is never used."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        files, tree, result = (Path(scratch, name) for name in ("files", "tree", "image"))
        result.mkdir()
        for name, text in _FILES.items():
            path = files / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        run(
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--format=directory",
            f"--include={','.join(packages)}",
            f"--essential-hook=sync-in {files} /",
            *(f"--customize-hook={command}" for command in _CUSTOMISE),
            release,
            str(tree),
            *sources,
        )
        for name in ("vmlinuz", "initrd.img"):
            shutil.copy(tree / name, result / name)
        # From a folder: nothing is mounted.
        run("mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(result / "root.img"), SIZE)
        result.rename(folder)


def run(*command: str) -> str:
    """Run a program of this machine to its end, and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, f"{command[0]} failed: {done.stderr}"
    return done.stdout


def _is_installed(package: str) -> bool:
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout == "installed"
