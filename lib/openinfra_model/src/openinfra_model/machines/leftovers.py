"""What `down` looks for when it is done: nothing of the engine may be left on this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_model import host
from openinfra_model.machines import loops

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from openinfra_model.paths import Paths

CHECKED = "processes, mounts, network bridges, firewall rules, loop devices, kernel limits, files"
_BRIDGE = "lxdbr0"


def leftovers(paths: Paths, *, with_cache: bool, devices: Sequence[loops.Attached] = ()) -> list[str]:
    """Name everything that is left of the engine.

    Args:
        paths: where it was.
        with_cache: whether the images were to go too.
        devices: the loop devices that its machines had.
    """
    return [
        *_processes(paths),
        *_mounts(paths),
        *_network(),
        *_loops(devices),
        *_files(paths, with_cache=with_cache),
    ]


def _processes(paths: Paths) -> Iterator[str]:
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        if any(word.startswith((str(paths.state), str(paths.run))) for word in words):
            yield f"process {command.parent.name}: {' '.join(words)}"


def _mounts(paths: Paths) -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        place = line.split()[1]
        if place.startswith((str(paths.state), str(paths.run))):
            yield f"mount {place}"


def _network() -> Iterator[str]:
    if host.has_systemd():
        return  # the packaged LXD, its bridge and its rules are the host's
    if Path("/sys/class/net", _BRIDGE).exists():
        yield f"bridge {_BRIDGE}"
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False)
    yield from (f"firewall {line}" for line in tables.stdout.splitlines() if line.endswith(" lxd"))


def _loops(devices: Sequence[loops.Attached]) -> Iterator[str]:
    ours = {(one.device, one.filesystem, one.inode) for one in devices}
    for one in loops.attached():
        if (one.device, one.filesystem, one.inode) in ours:
            yield f"loop device {one.device}: {one.name}"


def _files(paths: Paths, *, with_cache: bool) -> Iterator[str]:
    if (paths.state / "sysctl.json").exists():
        yield "kernel limits are raised"
    for directory in (paths.state, paths.log, paths.run, *([paths.cache] if with_cache else [])):
        if directory.exists():
            yield f"directory {directory}"
