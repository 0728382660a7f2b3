"""A unit's files on its machine: the charm, the hook tools, the resources, by Juju's paths.

Everything lies below the directory that the machine sees as `/var/lib/juju`, so it is made from outside.
"""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


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
    agent = machine / "agents" / tag(unit)
    _link_tools(machine / "tools" / tag(unit), tools)
    agent.mkdir(parents=True, exist_ok=True)
    _link(agent / "agent.socket", "../../controller.socket")
    _unpack(agent, url, archive)


def copy_resource(path: Path, source: Path) -> None:
    """Put a resource where the charm looks for it, unless it is there: `source` is named by its content."""
    marker = path.with_name(f".{path.name}.source")
    if marker.exists() and marker.read_text(encoding="utf-8") == source.name:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
    marker.write_text(source.name, encoding="utf-8")


def remove(machine: Path, unit: str) -> None:
    """Remove what `prepare` made."""
    for directory in ("agents", "tools"):
        shutil.rmtree(machine / directory / tag(unit), ignore_errors=True)


def _link_tools(directory: Path, tools: Iterable[str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name in tools:
        _link(directory / name, "../hook-tool")


def _link(path: Path, target: str) -> None:
    if not path.is_symlink():
        path.symlink_to(target)


def _unpack(agent: Path, url: str, archive: Path) -> None:
    """Put the archive's files over the charm's directory, as Juju does.

    Files of the former revision that the new one lacks go away; what the charm itself made stays. The record is
    written last: an interrupted unpacking is done again.
    """
    record, directory = agent / "deployed.json", agent / "charm"
    before: dict[str, list[str]] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    if url in before:
        return
    with zipfile.ZipFile(archive) as charm:
        entries = charm.infolist()
        names = [entry.filename for entry in entries if not entry.is_dir()]
        for former in {name for listed in before.values() for name in listed} - set(names):
            (directory / former).unlink(missing_ok=True)
        for entry in entries:
            _extract(charm, entry, directory)
    record.write_text(json.dumps({url: names}), encoding="utf-8")


def _extract(charm: zipfile.ZipFile, entry: zipfile.ZipInfo, directory: Path) -> None:
    """Extract one entry with its mode; zipfile itself keeps neither modes nor symbolic links."""
    path, mode = directory / entry.filename, entry.external_attr >> 16
    if stat.S_ISLNK(mode):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(charm.read(entry).decode())
        return
    charm.extract(entry, directory)
    if mode and not entry.is_dir():
        path.chmod(stat.S_IMODE(mode))
