"""What the engine needs of this machine, takes of it, and gives back: here without touching it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openinfra_model import host
from openinfra_model.machines import daemon, loops
from openinfra_model.machines.leftovers import leftovers
from openinfra_model.paths import Paths


class Lxd:
    """An LXD with one instance of ours and one of somebody else's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.deleted: list[str] = []

    def is_up(self) -> bool:
        return True

    def request(self, method: str, path: str, _body: object = None) -> list[dict]:
        if method == "DELETE":
            self.deleted.append(path)
        if path.startswith("/1.0/instances?"):
            profiles = {"juju-1-0": [daemon.PROFILE], "other": ["default"]}
            return [{"name": name, "profiles": own, "status": "Stopped"} for name, own in profiles.items()]
        return []

    def delete(self, path: str) -> None:
        self.deleted.append(path)


@pytest.fixture
def devices(monkeypatch, tmp_path):
    """Loop devices in use, and those that were detached."""
    found: list[loops.Attached] = []
    detached: list[Path] = []

    def clear(stream, _request) -> None:
        detached.append(Path(stream.name))
        found[:] = [one for one in found if one.device != Path(stream.name)]

    def attach(name: str, file: Path | None) -> Path:
        device = tmp_path / f"loop{len(found)}"
        device.touch()
        stat = file.stat() if file else os.stat_result([0] * 10)
        found.append(loops.Attached(device=device, name=name, filesystem=stat.st_dev, inode=stat.st_ino))
        return device

    monkeypatch.setattr(loops, "attached", lambda: list(found))
    monkeypatch.setattr("fcntl.ioctl", clear)
    return attach, detached, found


@pytest.fixture
def lxd(monkeypatch, tmp_path):
    lxd = Lxd(tmp_path / "lxd")
    (lxd.directory / "database").mkdir(parents=True)
    monkeypatch.setattr(daemon, "Lxd", lambda _directory: lxd)
    monkeypatch.setattr(host, "has_systemd", lambda: True)
    return lxd


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a disk")
    return path


def test_down_detaches_the_loop_devices_of_its_machines_and_no_others(lxd, devices, tmp_path):
    attach, detached, _ = devices
    paths = Paths(tmp_path / "root")
    ours = attach("/var/lib/osd.img", write(daemon.container_root(lxd, "juju-1-0") / "var/lib/osd.img"))
    shared = attach("/var/lib/juju/storage/1/img", write(paths.machine("juju-1-0") / "storage/1/img"))
    attach("/srv/vm.img", write(tmp_path / "srv/vm.img"))
    attach("/srv/was.img (deleted)", None)
    attach("/var/lib/osd.img", write(daemon.container_root(lxd, "other") / "var/lib/osd.img"))

    told = daemon.stop(paths)
    assert detached == [ours, shared]
    assert [one.device for one in told] == [ours, shared]
    assert "/1.0/instances/juju-1-0" in lxd.deleted


def test_a_file_of_the_same_number_in_another_file_system_is_another(devices, tmp_path):
    attach, detached, found = devices
    root = tmp_path / "rootfs"
    attach("/img", write(root / "img"))
    found[0] = replace(found[0], filesystem=found[0].filesystem + 1)
    assert loops.detach(lambda name: loops.places(root, tmp_path, name)) == []
    assert detached == []


def test_what_is_left_is_what_was_ours(lxd, devices, tmp_path):
    attach, _, found = devices
    attach("/srv/was.img (deleted)", None)
    device = attach("/img", write(tmp_path / "img"))
    left = leftovers(Paths(tmp_path / "root"), with_cache=True, devices=[found[1]])
    assert left == [f"loop device {device}: /img"]


@pytest.fixture
def ubuntu(monkeypatch, tmp_path):
    """A fresh Ubuntu: no package that the engine needs, no snap of LXD."""
    monkeypatch.setattr(host, "distribution", lambda: host.Distribution(id="ubuntu", codename="noble"))
    monkeypatch.setattr(host, "_SNAPS", tmp_path)
    commands: list[list[str]] = []

    def run(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="snapd installed\n", stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_a_fresh_ubuntu_is_given_the_snap_of_lxd(ubuntu, tmp_path):
    missing = host.missing_packages()
    assert missing == ["mmdebstrap", "squashfs-tools", "lxd"]
    ubuntu.clear()
    host.install_packages(missing)
    assert [command[:2] for command in ubuntu] == [
        ["apt-get", "update"],
        ["apt-get", "install"],
        ["snap", "install"],
    ]
    assert ubuntu[1][-2:] == ["mmdebstrap", "squashfs-tools"]
    assert "DPkg::Lock::Timeout=300" in ubuntu[1]
    (tmp_path / "lxd").mkdir()
    assert host.missing_packages() == ["mmdebstrap", "squashfs-tools"]


@pytest.mark.parametrize(
    ("has_snap", "directory", "socket"),
    [(True, "common/lxd", "snap.lxd.daemon.unix.socket"), (False, "/var/lib/lxd", "lxd.socket")],
)
def test_lxd_is_that_of_the_snap_where_there_is_one(monkeypatch, tmp_path, has_snap, directory, socket):
    snap, started = tmp_path / "snap", []
    if has_snap:
        snap.mkdir()
    monkeypatch.setattr(daemon, "_SNAP", snap)
    monkeypatch.setattr(host, "has_systemd", lambda: True)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: started.append(command))
    paths = Paths(tmp_path / "root")
    assert daemon.lxd_directory(paths) == (snap / directory if has_snap else Path(directory))
    lxd: Any = Lxd(tmp_path)
    daemon._launch(lxd, paths)
    assert started == [["systemctl", "start", socket]]
