"""A unit's files on its machine: the charm, the hook tools, the resources, by Juju's paths.

Everything lies below the directory that the machine sees as `/var/lib/juju`, so it is made from outside.
"""

from __future__ import annotations

import json
import stat
import zipfile
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from openinfra_model.machines.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_RECORD = "deployed.json"
"""Which files the charm's archive had that was unpacked last, by its URL."""


def tag(unit: str) -> str:
    """Return Juju's tag of a unit, which names its directories: `unit-ceph-0` for `ceph/0`."""
    return f"unit-{unit.replace('/', '-')}"


def prepare(machine: Path, unit: str, *, url: str, archive: Path, tools: Iterable[str]) -> None:
    """Bring a unit's files to what the model says; nothing is done twice.

    Args:
        machine: the directory that the machine sees as `/var/lib/juju`.
        unit: the unit's name.
        url: names the charm and its revision.
        archive: the charm.
        tools: the names of the hook tools.
    """
    with Folder.opened(machine, "tools", tag(unit)) as folder:
        for name in tools:
            folder.link(name, "../hook-tool")
    with Folder.opened(machine, "agents", tag(unit)) as folder:
        folder.link("agent.socket", "../../controller.socket")
        _unpack(folder, url, archive)


def copy_resource(machine: Path, unit: str, filename: str, source: Path) -> None:
    """Put a resource where the charm looks for it, unless it is there: `source` is named by its content."""
    marker = f".{filename}.source"
    with Folder.opened(machine, "agents", tag(unit), "resources") as folder:
        if folder.read(marker) != source.name:
            folder.copy(filename, source)
            folder.write(marker, source.name.encode())


def others(machine: Path, units: Iterable[str]) -> list[str]:
    """Return the tags of those units that have files on a machine and are none of these."""
    folder, known = machine / "agents", {tag(unit) for unit in units}
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(name for name in names if name.startswith("unit-") and name not in known)


def remove(machine: Path, unit_tag: str) -> None:
    """Remove what `prepare` made for the unit of this tag; it is no error if the machine has gone."""
    with suppress(FileNotFoundError):
        for directory in ("agents", "tools"):
            with Folder.opened(machine, directory) as folder:
                folder.remove(unit_tag)


def _unpack(agent: Folder, url: str, archive: Path) -> None:
    """Put the archive's files over the charm's directory, as Juju does.

    Files of the former revision that the new one lacks go away; what the charm itself made stays. The record is
    written last: an interrupted unpacking is done again.
    """
    before: dict[str, list[str]] = json.loads(agent.read(_RECORD) or "{}")
    if url in before:
        return
    with zipfile.ZipFile(archive) as charm, agent.below(PurePosixPath("charm")) as directory:
        entries = charm.infolist()
        names = [entry.filename for entry in entries if not entry.is_dir()]
        for former in {name for listed in before.values() for name in listed} - set(names):
            path = PurePosixPath(former)
            with directory.below(path.parent) as folder:
                folder.remove(path.name)
        for entry in entries:
            _extract(charm, entry, directory)
    agent.write(_RECORD, json.dumps({url: names}).encode())


def _extract(charm: zipfile.ZipFile, entry: zipfile.ZipInfo, directory: Folder) -> None:
    """Extract one entry with its mode; zipfile itself keeps neither modes nor symbolic links, and follows those there are."""
    path, mode = PurePosixPath(entry.filename), entry.external_attr >> 16
    if entry.is_dir():
        with directory.below(path):
            return
    with directory.below(path.parent) as folder:
        if stat.S_ISLNK(mode):
            folder.link(path.name, charm.read(entry).decode())
        else:
            folder.write(path.name, charm.read(entry), stat.S_IMODE(mode) or 0o644)
