"""A machine in memory with Ceph's programs, the system's disk tools, and a systemd that runs Ceph's daemons."""

from __future__ import annotations

import itertools
import json
import math
import re
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import twin

from admin import UnreachableError
from openinfra_charm import job
from openinfra_charm.machine import CommandError, Result, use
from openinfra_charm.testing import Disk, MemoryMachine

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

GIB = 1 << 30
JOB_SECONDS = 300
"""Longer than any job takes here, where data move at once."""
SIGNATURES = {
    (0x438, b"\x53\xef"): 'TYPE="ext4"',
    (0x200, b"EFI PART"): 'PTTYPE="gpt"',
    (-0x200, b"EFI PART"): 'PTTYPE="gpt"',
    (0, twin.LABEL[:22]): 'TYPE="ceph_bluestore"',
}
"""Where blkid and wipefs look for what, as far as the twin's disks have it."""
DAEMON = re.compile(r"ceph-(mon|mgr|osd)@(.+)\.service")


class OutOfPatienceError(Exception):
    """A hook has waited for longer than a hook may, or a job for longer than anything takes here."""


class CephMachine(MemoryMachine):
    """A machine of the cluster. Its Ceph is `version`; its disks are what tests plug in.

    `broken` maps a program's name to what it says when it fails, for tests of what is then undone; `patience` is how
    many seconds may still be waited.
    """

    def __init__(self, cluster: twin.Cluster, number: int, version: str = "18.2.7+ds-1") -> None:
        super().__init__(f"machine-{number}")
        self.cluster = cluster
        self.address = f"10.0.0.{10 + number}"
        self.powered = True
        self.patience = math.inf
        self.broken: dict[str, str] = {}
        self.version = version
        cluster.machines.append(self)
        self.libraries["rados"] = twin.Library(cluster, self)
        self.handlers |= {
            "blkdiscard": self._blkdiscard, "blkid": self._blkid, "ceph": self._ceph, "ceph-mon": self._ceph_mon,
            "ceph-osd": self._ceph_osd, "chown": self._chown, "crushtool": self._crushtool, "lsblk": self._lsblk,
            "monmaptool": self._monmaptool, "systemctl": self._systemctl, "systemd-run": self._systemd_run,
            "wipefs": self._wipefs,
        }  # fmt: skip

    def run(self, *argv: str, check: bool = True, **options: Any) -> Result:
        """Run a program, unless it is broken."""
        if argv[0] not in self.broken:
            return super().run(*argv, check=check, **options)
        if check:
            raise CommandError(argv, 1, self.broken[argv[0]])
        return Result(code=1, stdout="", stderr=self.broken[argv[0]])

    # What the cluster asks of a machine

    def runs(self, daemon: str) -> bool:
        """Return whether a daemon's service runs."""
        return self.powered and self.services.get(f"{daemon}.service") == "active"

    def running_osds(self) -> list[int]:
        """Return the numbers of the OSDs whose services run."""
        names = (match for unit in self.services if (match := DAEMON.fullmatch(unit)))
        return [int(m[2]) for m in names if m[1] == "osd" and self.runs(f"ceph-osd@{m[2]}")]

    def osd_disk(self, number: int) -> Disk:
        """Return the device of an OSD."""
        return self.disk(f"/var/lib/ceph/osd/ceph-{number}/block")

    def monitor_store(self) -> dict[str, Any] | None:
        """Return what the machine's monitor knows, if there is one."""
        text = self.read(f"/var/lib/ceph/mon/ceph-{self.name}/store.db")
        return json.loads(text) if text else None

    def keyring_key(self, path: str) -> str | None:
        """Return the key in a keyring of one user."""
        found = re.search(r"key = (\S+)", self.read(path) or "")
        return found[1] if found else None

    # What tests do to a machine

    def plug_in(self, name: str, size: int = 20 * GIB, **kind: bool) -> Disk:
        """Give the machine an empty disk."""
        disk = Disk(size, **kind)
        self.add_disk(f"/dev/{name}", disk)
        self.write(f"/sys/class/block/{name}/queue/rotational", f"{int(disk.rotates)}\n")
        return disk

    def power_off(self) -> None:
        """Stop the machine at once."""
        self.powered = False
        self.services = {}
        self._hold_disks()
        self.cluster.tick()

    def power_on(self) -> None:
        """Start the machine: what is enabled runs."""
        self.powered = True
        self.start_services(*sorted(self.enabled))

    def run_jobs(self) -> list[int]:
        """Run the jobs that systemd has started; return their exit codes."""
        codes = []
        for unit in [unit for unit, state in self.services.items() if "-job-" in unit and state == "active"]:
            application, _, job_id = unit.removesuffix(".service").partition("-job-")
            with use(self), self.waiting(JOB_SECONDS):
                try:
                    codes.append(job.main(application, job_id))
                except UnreachableError:
                    # The traceback goes to the journal, and systemd forgets the unit.
                    codes.append(1)
            self.services[unit] = "inactive"
        return codes

    # Services and time

    def install_packages(self, names: Iterable[str]) -> None:
        """Install packages in the version of this machine's Ceph."""
        wanted = tuple(names)
        super().install_packages(wanted)
        self.packages.update(dict.fromkeys(wanted, self.version))

    def start_services(self, *units: str) -> None:
        """Start units; a daemon without its data fails."""
        super().start_services(*units)
        self._look_after(units)

    def restart_services(self, *units: str) -> None:
        """Restart units; a daemon without its data fails."""
        super().restart_services(*units)
        self._look_after(units)

    def stop_services(self, *units: str) -> None:
        """Stop units."""
        super().stop_services(*units)
        self._hold_disks()
        self.cluster.tick()

    def _look_after(self, units: Iterable[str]) -> None:
        for unit in units:
            if (match := DAEMON.fullmatch(unit)) and not self._can_run(match[1], match[2]):
                self.services[unit] = "failed"
        self._hold_disks()
        self.cluster.tick()

    def _can_run(self, kind: str, name: str) -> bool:
        needed = {"mon": "store.db", "mgr": "keyring", "osd": "fsid"}[kind]
        return self.exists(f"/var/lib/ceph/{kind}/ceph-{name}/{needed}")

    def _hold_disks(self) -> None:
        held = {id(self.osd_disk(number)): f"osd.{number}" for number in self.running_osds()}
        for node in self.nodes.values():
            if node.disk and (id(node.disk) in held or node.disk.holder.startswith("osd.")):
                node.disk.holder = held.get(id(node.disk), "")

    def sleep(self, seconds: float) -> None:
        """Let time pass, in which data move."""
        super().sleep(seconds)
        self.patience -= seconds
        if self.patience < 0:
            raise OutOfPatienceError
        self.cluster.tick()
        self.cluster.recover()

    @contextmanager
    def waiting(self, seconds: float) -> Generator[None]:
        """Let nobody wait for longer than this."""
        self.patience = seconds
        try:
            yield
        finally:
            self.patience = math.inf

    def _systemctl(self, argv: tuple[str, ...], _stdin: str | None) -> None:
        verb, unit = argv[1:]
        self.services[unit] = "active" if verb == "start" else "inactive"
        self.log.append(f"{verb} {unit}")
        self._look_after([unit] if verb == "start" else [])

    def _systemd_run(self, argv: tuple[str, ...], _stdin: str | None) -> None:
        unit = next(word for word in argv if word.startswith("--unit=")).removeprefix("--unit=")
        self.services[unit] = "active"
        self.log.append(f"run {unit}")

    # Ceph's programs

    def _monmaptool(self, argv: tuple[str, ...], _stdin: str | None) -> Result | str | None:
        path = argv[-1]
        if "--create" in argv:
            fsid = argv[argv.index("--fsid") + 1]
            name, endpoints = argv[argv.index("--addv") + 1 : argv.index("--addv") + 3]
            self._save_map(path, fsid, {name: _host(endpoints)})
            return None
        fsid, monitors = self._load_map(path)
        if "--rm" in argv:
            del monitors[argv[argv.index("--rm") + 1]]
            self._save_map(path, fsid, monitors)
            return None
        rows = (f"[v2:{host}:3300/0,v1:{host}:6789/0] mon.{name}" for name, host in sorted(monitors.items()))
        return "".join(f"{rank}: {row}\n" for rank, row in enumerate(rows))

    def _save_map(self, path: str, fsid: str, monitors: dict[str, str]) -> None:
        self.write(path, json.dumps({"fsid": fsid, "monitors": monitors}))

    def _load_map(self, path: str) -> tuple[str, dict[str, str]]:
        content = json.loads(self.read(path) or "")
        return content["fsid"], content["monitors"]

    def _ceph_mon(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        options = _options(argv)
        path = f"/var/lib/ceph/mon/ceph-{options['-i']}/store.db"
        if "--extract-monmap" in options:
            self._save_map(options["--extract-monmap"], self.cluster.fsid, self.cluster.monitors)
        elif "--inject-monmap" in options:
            assert not self.runs(f"ceph-mon@{self.name}"), "a map is injected into a stopped monitor"
            _, self.cluster.monitors = self._load_map(options["--inject-monmap"])
        elif self.exists(path):
            return Result(
                code=0, stdout="", stderr="already exists and is not empty: monitor may already exist"
            )
        else:
            self.write(path, json.dumps(self._new_store(options)))
        return None

    def _new_store(self, options: dict[str, str]) -> dict[str, Any]:
        fsid, monitors = self._load_map(options["--monmap"])
        keys = dict(re.findall(r"\[(\S+)\]\n\s*key = (\S+)", self.read(options["--keyring"]) or ""))
        config = self.read(twin.CONFIG) or ""
        assert f"fsid = {fsid}" in config
        return {
            "id": self.cluster.new_key(),
            "fsid": fsid,
            "monitors": monitors,
            "address": (re.findall(r"^public_addr = (\S+)$", config, re.MULTILINE) or [self.address])[0],
            "key": keys["mon."],
            "admin-key": keys.get("client.admin", ""),
            "domain": "osd" if "osd_crush_chooseleaf_type = 0" in config else "host",
        }

    def _ceph(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        if not self.cluster.quorum:
            return Result(code=1, stdout="", stderr="[errno 110] RADOS timed out")
        path = argv[argv.index("-o") + 1]
        if argv[1:3] == ("mon", "getmap"):
            self._save_map(path, self.cluster.fsid, self.cluster.monitors)
        else:
            assert argv[1:3] == ("osd", "getcrushmap")
            self.write(path, json.dumps([]))
        return None

    def _chown(self, _argv: tuple[str, ...], _stdin: str | None) -> None:
        """Nobody asks for the owners of what is only for a moment."""

    def _ceph_osd(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        options = _options(argv)
        folder, uuid = options["--osd-data"], options["--osd-uuid"]
        self._load_map(options["--monmap"])
        device = self.resolve(f"{folder}/block")
        if self.nodes[device].owner[0] != "ceph":
            return Result(code=1, stdout="", stderr=f"open {device}: (13) Permission denied")
        self.disk(device).write(0, twin.LABEL + uuid.encode() + b"\n")
        if self.exists(f"{folder}/block.db"):
            self.disk(f"{folder}/block.db").write(0, twin.LABEL + uuid.encode() + b"\nbluefs db")
        self.write(f"{folder}/fsid", f"{uuid}\n", user="ceph", group="ceph")
        return None

    def _crushtool(self, argv: tuple[str, ...], _stdin: str | None) -> str | None:
        """Plan a rule, or show where rules put groups; a map is the list of the rules planned on it."""
        source = json.loads(self.read(argv[argv.index("-i") + 1]) or "")
        if "--create-replicated-rule" in argv:
            kind = argv[argv.index("--create-replicated-rule") + 3]
            self.write(argv[argv.index("-o") + 1], json.dumps([kind]))
            return None
        options = _options(argv)
        rule = int(options["--rule"])
        planned = [
            twin.Rule(number=1 + len(self.cluster.rules), name="planned", kind=kind) for kind in source
        ]
        known, self.cluster.rules = self.cluster.rules, [*self.cluster.rules, *planned]
        if rule not in {entry.number for entry in known}:
            planned[0].number = rule
        size, pool = int(options["--num-rep"]), int(options["--pool-id"])
        rows = [
            f"CRUSH rule {rule} x {index} {json.dumps(self.cluster.place(rule, size, pool, index), separators=(',', ':'))}"
            for index in range(int(options["--max-x"]) + 1)
        ]  # fmt: skip
        self.cluster.rules = known
        return "".join(f"{row}\n" for row in rows)

    # The system's disk tools

    def _signatures(self, path: str) -> list[str]:
        disk = self.disk(path)
        return [name for (place, magic), name in SIGNATURES.items() if disk.read(place, len(magic)) == magic]

    def _blkid(self, argv: tuple[str, ...], _stdin: str | None) -> Result:
        found = self._signatures(argv[-1])
        words = f"{argv[-1]}: {found[0]}\n" if found else ""
        return Result(code=0 if found else 2, stdout=words, stderr="")

    def _wipefs(self, argv: tuple[str, ...], _stdin: str | None) -> str:
        path = argv[-1]
        if "-n" in argv:
            return "".join(f"{name}\n" for name in self._signatures(path))
        disk = self.disk(path)
        for place, magic in SIGNATURES:
            if disk.read(place, len(magic)) == magic:
                disk.erase(place if place >= 0 else disk.size + place, len(magic))
        self.log.append(f"wipe {path}")
        return ""

    def _blkdiscard(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        disk = self.disk(argv[-1])
        options = _options(argv)
        if "-z" not in argv and not disk.discards:
            return Result(code=1, stdout="", stderr="BLKDISCARD ioctl failed: Operation not supported")
        disk.erase(int(options.get("-o", 0)), int(options.get("-l", disk.size)))
        self.log.append(shlex.join(argv))
        return None

    def _lsblk(self, _argv: tuple[str, ...], _stdin: str | None) -> str:
        devices = [
            {"path": path, "size": node.disk.size, "model": None, "rota": node.disk.rotates}
            for path, node in self.nodes.items()
            if node.disk and node.is_device
        ]
        return json.dumps({"blockdevices": devices})


def _options(argv: tuple[str, ...]) -> dict[str, str]:
    """Return what follows each word: for an option its value."""
    return dict(itertools.pairwise(argv))


def _host(endpoints: str) -> str:
    return re.findall(r"v2:\[?([^],]+?)\]?:3300", endpoints)[0]
