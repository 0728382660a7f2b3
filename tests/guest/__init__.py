"""The guest of the tests: a small system on a disk that any hypervisor boots, made of the distribution's packages.

A kernel and an initial file system on a FAT file system with a boot loader. The root is in memory; what is to outlast a boot is written to
the boot disk, which is mounted at /disk. What it does at a start is in `system/`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_model import host
from openinfra_model.machines import image

if TYPE_CHECKING:
    from collections.abc import Iterable

BASE = "ubuntu@24.04"
"""Of the same release as the machines: its archive is known there."""
SIZE_MIB = 56
HOST_PACKAGES = ("cpio", "dosfstools", "kmod", "mmdebstrap", "mtools", "syslinux", "xz-utils", "zstd")
_KERNELS = {"debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}
_PACKAGES = ("busybox-static", "dosfstools", "dropbear-bin", "e2fsprogs", "util-linux")
_PROGRAMS = ("dropbear", "dropbearkey", "mke2fs", "mkfs.fat", "blkid", "lsblk")
"""What is taken as it is, with its libraries; all else is busybox's."""
_MODULES = (
    "virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "nls_cp437", "nls_iso8859-1", "nls_ascii", "nls_utf8", "vfat", "button",
    "evdev", "virtio_scsi", "sd_mod", "ata_piix", "ahci", "sr_mod", "isofs",
)  # fmt: skip
"""In the order in which they are loaded: what every server needs, then what a drive of another kind does."""
_PACKED = {".xz": "xz", ".zst": "zstd"}
_LOADER = "ld-linux-x86-64.so.2"
_SYSTEM = Path(__file__).parent / "system"
_CONFIG = """\
DEFAULT linux
PROMPT 0
LABEL linux
  KERNEL vmlinuz
  INITRD initrd
  APPEND console=tty1 console=ttyS0,115200 quiet no_timer_check mitigations=off cryptomgr.notests panic=10
"""


def build(disk: Path) -> Path:
    """Make the disk; packages that this takes are installed on this machine.

    Raises:
        HostError: It is of a distribution whose kernel is not known here, or the packages cannot be installed.
    """
    distribution = host.distribution().id
    if distribution not in _KERNELS:
        raise host.HostError(f"no guest on {distribution}: its kernel for virtual machines is not known here")
    missing = [name for name in HOST_PACKAGES if not _is_installed(name)]
    if missing:
        host.install_packages(missing)
    with tempfile.TemporaryDirectory() as scratch:
        tree, root = Path(scratch, "tree"), Path(scratch, "root")
        _extract(tree, (*_PACKAGES, _KERNELS[distribution]))
        _lay_out(tree, root)
        _write(disk, _kernel(tree), _pack(root, Path(scratch, "initrd")), Path(scratch))
    return disk


def _extract(tree: Path, packages: Iterable[str]) -> None:
    """Unpack packages and what they depend on into a folder; nothing of them runs."""
    recipe = image.recipe(BASE)
    _run(
        "mmdebstrap", "--quiet", "--variant=extract", "--format=directory", f"--include={','.join(packages)}", recipe.release, str(tree),
        *recipe.sources,
    )  # fmt: skip


def _kernel(tree: Path) -> Path:
    (kernel,) = (tree / "boot").glob("vmlinuz-*")
    return kernel


def _lay_out(tree: Path, root: Path) -> None:
    """Make the initial file system."""
    for folder in (
        "bin",
        "sbin",
        "usr/bin",
        "usr/sbin",
        "dev",
        "proc",
        "sys",
        "run",
        "tmp",
        "root",
        "etc/dropbear",
        "var",
        "disk",
        "mnt",
        "usr/lib",
        "usr/lib64",
    ):
        (root / folder).mkdir(parents=True)
    for name, target in (
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
        ("var/run", "../run"),
        ("etc/mtab", "../proc/mounts"),
        ("etc/resolv.conf", "../run/resolv.conf"),
    ):
        (root / name).symlink_to(target)
    shutil.copytree(_SYSTEM, root, dirs_exist_ok=True)
    for path in _SYSTEM.rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"#!"):
            (root / path.relative_to(_SYSTEM)).chmod(0o755)
    (busybox,) = (path for path in (tree / "bin/busybox", tree / "usr/bin/busybox") if path.exists())
    shutil.copy(busybox, root / "bin/busybox")
    for program in _PROGRAMS:
        source = next(
            path
            for folder in ("usr/sbin", "usr/bin", "sbin", "bin")
            if (path := tree / folder / program).exists()
        )
        _copy(tree, source, root)
        for library in _libraries(tree, source):
            _copy(tree, library, root)
    for name, program in (("mkfs.ext4", "mke2fs"), ("mkfs.vfat", "mkfs.fat")):
        (root / "usr/sbin" / name).symlink_to(program)
    applets = _run(str(busybox), "--list").split()
    for applet in applets:
        places = (
            root / "bin" / applet,
            *(root / folder / applet for folder in ("sbin", "usr/bin", "usr/sbin")),
        )
        if not any(place.exists() or place.is_symlink() for place in places):
            places[0].symlink_to("busybox")
    _copy_modules(tree, root)


def _copy(tree: Path, source: Path, root: Path) -> None:
    target = root / source.relative_to(tree)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _libraries(tree: Path, program: Path) -> set[Path]:
    """Return the shared libraries of a program, with the loader, where they are in the tree."""
    loader = next(path for folder in ("usr/lib64", "lib64") if (path := tree / folder / _LOADER).exists())
    told = _run(
        "chroot", str(tree), f"/{loader.relative_to(tree)}", "--list", f"/{program.relative_to(tree)}"
    )
    paths = [
        tree / word.lstrip("/") for line in told.splitlines() for word in line.split() if word.startswith("/")
    ]
    return {path for path in (*paths, loader) if path.exists()}


def _copy_modules(tree: Path, root: Path) -> None:
    """Copy the modules that the guest loads, with those they need, and have depmod list them."""
    (folder,) = next(
        path for path in (tree / "usr/lib/modules", tree / "lib/modules") if path.exists()
    ).iterdir()
    above = folder.parents[2] if folder.is_relative_to(tree / "usr") else folder.parents[1]
    _run("depmod", "--basedir", str(above), folder.name)
    needs = dict(line.split(":", 1) for line in (folder / "modules.dep").read_text().splitlines())
    named = {Path(path).name.partition(".")[0].replace("-", "_"): path for path in needs}
    wanted = {path for name in _MODULES if (path := named.get(name.replace("-", "_")))}
    target = root / "lib/modules" / folder.name
    for path in wanted | {other for one in wanted for other in needs[one].split()}:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / path, target / path)
        # As they are they are found by busybox's modprobe, and packed better with all else.
        if program := _PACKED.get((target / path).suffix):
            _run(program, "-d", "-q", *(["--rm"] if program == "zstd" else []), str(target / path))
    for name in ("modules.builtin", "modules.order"):
        shutil.copy(folder / name, target / name)
    _run("depmod", "--basedir", str(root), folder.name)
    (root / "etc/modules").write_text("\n".join(_MODULES) + "\n")


def _pack(root: Path, path: Path) -> Path:
    """Pack a folder as the kernel unpacks it; all is root's."""
    names = "\n".join(str(one.relative_to(root)) for one in sorted(root.rglob("*")))
    with path.open("wb") as packed:
        cpio = subprocess.run(
            ["cpio", "--create", "--format=newc", "--owner=0:0", "--quiet"],
            input=names.encode(), stdout=subprocess.PIPE, cwd=root, check=True,
        )  # fmt: skip
        subprocess.run(["gzip", "-6"], input=cpio.stdout, stdout=packed, check=True)
    return path


def _write(disk: Path, kernel: Path, initrd: Path, scratch: Path) -> None:
    """Make the disk: one file system over all of it, with a boot loader in its first sector."""
    config = scratch / "syslinux.cfg"
    config.write_text(_CONFIG)
    disk.unlink(missing_ok=True)
    _run("mkfs.vfat", "-C", "-F", "16", "-n", "GUEST", str(disk), str(SIZE_MIB * 1024))
    for source, name in ((kernel, "vmlinuz"), (initrd, "initrd"), (config, "syslinux.cfg")):
        _run("mcopy", "-i", str(disk), str(source), f"::{name}")
    _run("syslinux", "--install", str(disk))


def _run(*command: str) -> str:
    """Run a program of this machine to its end, and return what it printed."""
    paths = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "PATH": paths},
        check=False,
    )
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
