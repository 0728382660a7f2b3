"""A machine in memory with Ceph's programs, the system's disk tools, and a systemd that runs Ceph's daemons."""

from __future__ import annotations

import errno
import itertools
import json
import os
import posixpath
import re
import shlex
from typing import Any

import twin

from openinfra_charm.daemon import registry
from openinfra_charm.machine import Result
from openinfra_charm.testing import Disk, MemoryMachine, Software

LINKS = {"block": b"", "block.db": b"\nbluefs db", "block.wal": b"\nbluefs wal"}
"""An OSD's links to its devices, and what the label of each says beside the OSD's uuid."""
REPAIRER = "/usr/lib/openinfra/ceph-osd-device"
"""What systemd runs before an OSD starts, where the charm has left it: it points the OSD's links at its devices."""

SIGNATURES = {
    (0x438, b"\x53\xef"): 'TYPE="ext4"',
    (0x200, b"EFI PART"): 'PTTYPE="gpt"',
    (-0x200, b"EFI PART"): 'PTTYPE="gpt"',
    (0, twin.LABEL[:22]): 'TYPE="ceph_bluestore"',
}
"""Where blkid and wipefs look for what, as far as the twin's disks have it."""
DAEMON = re.compile(r"ceph-(mon|mgr|osd)@(.+)\.service")


class CephSoftware(Software):
    """Ceph's programs and daemons on one machine of the cluster, and the disk tools; `version` is the packages'.

    `archives` are those that can be reached beside the distribution's own: the version of Ceph by `URL SUITE`.
    """

    def __init__(
        self, cluster: twin.Cluster, machine: MemoryMachine, address: str, version: str = "18.2.7+ds-1"
    ) -> None:
        super().__init__()
        self.cluster = cluster
        self.machine = machine
        self.name = machine.name
        self.address = address
        self.version = version
        self.archives: dict[str, str] = {}
        self.has_daemons = False
        self.shows_parts = True
        self.tables: dict[int, dict[int, dict[str, Any]]] = {}
        self._started_keys: dict[str, str | None] = {}
        cluster.members.append(self)
        self.libraries = {"rados": twin.Library(cluster, self)}
        self.streams = {f"/run/ceph/ceph-mon.{self.name}.asok": self._admin_socket}
        self.programs = {
            "apt-cache": self._apt_cache, "apt-get": self._apt_get, "ceph-authtool": self._ceph_authtool,
            "blkdiscard": self._blkdiscard, "blkid": self._blkid, "ceph": self._ceph, "ceph-mon": self._ceph_mon,
            "ceph-osd": self._ceph_osd, "crushtool": self._crushtool, "lsblk": self._lsblk,
            "monmaptool": self._monmaptool, "partx": self._partx, "sfdisk": self._sfdisk, "wipefs": self._wipefs,
        }  # fmt: skip

    # What the cluster asks of a machine

    def runs(self, daemon: str) -> bool:
        """Return whether a daemon's service runs."""
        return self.machine.powered and self.machine.serves(f"{daemon}.service")

    @property
    def has_stopped_monitor(self) -> bool:
        """Whether somebody has stopped the machine's monitor and let it not start again."""
        unit = f"ceph-mon@{self.name}.service"
        state = self.machine.services.get(unit)
        return self.machine.powered and state == "inactive" and unit not in self.machine.enabled

    def running_osds(self) -> list[int]:
        """Return the numbers of the OSDs whose services run."""
        names = (match for unit in self.machine.services if (match := DAEMON.fullmatch(unit)))
        return [int(m[2]) for m in names if m[1] == "osd" and self.runs(f"ceph-osd@{m[2]}")]

    def osd_disk(self, number: int) -> Disk:
        """Return the device of an OSD."""
        return self.machine.disk(f"/var/lib/ceph/osd/ceph-{number}/block")

    def has_media(self, number: int, uuid: str) -> bool:
        """Return whether an OSD's links lead to devices that bear its label and can be read."""
        folder = f"/var/lib/ceph/osd/ceph-{number}"
        links = [link for link in LINKS if link == "block" or self.machine.exists(f"{folder}/{link}")]
        return all(self._bears(f"{folder}/{link}", uuid, link) for link in links)

    def _bears(self, path: str, uuid: str, link: str) -> bool:
        try:
            start = self.machine.disk(path).read(0, 4096)
        except OSError:
            return False
        kind = next((kind for kind in LINKS.values() if kind and kind in start), b"")
        return start.startswith(twin.LABEL + uuid.encode()) and kind == LINKS[link]

    def monitor_store(self) -> dict[str, Any] | None:
        """Return what the machine's monitor knows, if there is one."""
        text = self.machine.read(f"/var/lib/ceph/mon/ceph-{self.name}/store.db")
        return json.loads(text) if text else None

    def keep_in_store(self, name: str, key: str) -> None:
        """Have the machine's monitor keep another key of those that its store began with."""
        store = self.monitor_store()
        if store and store[name]:
            path = f"/var/lib/ceph/mon/ceph-{self.name}/store.db"
            self.machine.have(path, json.dumps({**store, name: key}))

    def started_key(self, entity: str) -> str | None:
        """Return the key that a manager or an OSD has started with."""
        return self._started_keys.get(entity)

    def shown_keys(self) -> list[tuple[str, str | None]]:
        """Return the keys of the managers and OSDs that run, with their Ceph users."""
        known = self._started_keys.items()
        return [(entity, key) for entity, key in known if self.runs(f"ceph-{entity.replace('.', '@', 1)}")]

    @property
    def installed_version(self) -> str:
        """The version of Ceph's packages that are installed."""
        return registry.upstream(self.machine.packages.get("ceph-common", ""))

    def keyring_key(self, path: str) -> str | None:
        """Return the key in a keyring of one user."""
        found = re.search(r"key = (\S+)", self.machine.read(path) or "")
        return found[1] if found else None

    # What happens on it

    def version_of(self, package: str) -> str | None:
        """Return the version of Ceph's packages and the library's; of others too, it is as good as any."""
        del package
        releases = {_release(place): version for place, version in self.archives.items()}
        return releases.get(self.machine.installing_from, self.version)

    def program_of(self, unit: str) -> str:
        """Return the version of a daemon's program."""
        return self.machine.packages.get("ceph-common", "") if DAEMON.fullmatch(unit) else ""

    def running_version(self, daemon: str) -> str:
        """Return the version that a daemon runs, or ran last, as Ceph has it."""
        return registry.upstream(self.machine.programs.get(f"{daemon}.service", ""))

    def can_run(self, unit: str) -> bool:
        """Return whether a daemon has its data."""
        match = DAEMON.fullmatch(unit)
        if match is None:
            return True
        needed = {"mon": "store.db", "mgr": "keyring", "osd": "fsid"}[match[1]]
        folder = f"/var/lib/ceph/{match[1]}/ceph-{match[2]}"
        key = self.keyring_key(f"{folder}/keyring")
        self._started_keys[f"{match[1]}.{match[2]}"] = key if match[1] != "mon" else None
        if key and twin.kind_of(key) == twin.AES256K and not twin.knows_aes256k(self.installed_version):
            return False
        if match[1] != "osd" or not self.machine.exists(f"{folder}/{needed}"):
            return self.machine.exists(f"{folder}/{needed}")
        uuid = (self.machine.read(f"{folder}/fsid") or "").strip()
        if self.machine.exists(REPAIRER):
            self._repair_links(folder, uuid)
        return self.has_media(int(match[2]), uuid)

    def _repair_links(self, folder: str, uuid: str) -> None:
        """Do as `files/osd-device` does."""
        devices = [path for path, node in self.machine.nodes.items() if node.is_device]
        for link in LINKS:
            node = self.machine.nodes.get(f"{folder}/{link}")
            if node and not self._bears(f"{folder}/{link}", uuid, link):
                node.link = next((path for path in devices if self._bears(path, uuid, link)), node.link)

    def services_changed(self) -> None:
        """Let OSDs hold their disks, and the cluster notice who is there."""
        self.has_daemons = self.has_daemons or any(map(DAEMON.fullmatch, self.machine.services))
        for number in self.running_osds():
            uuid = (self.machine.read(f"/var/lib/ceph/osd/ceph-{number}/fsid") or "").strip()
            if not self.has_media(number, uuid):
                # A daemon ends with the first error of its disk.
                self.machine.services[f"ceph-osd@{number}.service"] = "failed"
        held = {id(self.osd_disk(number)): f"osd.{number}" for number in self.running_osds()}
        for node in self.machine.nodes.values():
            if node.disk and (id(node.disk) in held or node.disk.holder.startswith("osd.")):
                node.disk.holder = held.get(id(node.disk), "")
        self.cluster.tick()

    def time_passed(self) -> None:
        """Let data move."""
        self.cluster.tick()
        self.cluster.recover()

    # Apt

    def _apt_get(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        assert argv[-1] == "update"
        missing = [place for place in self._places(argv) if place not in self.archives]
        stderr = "".join(f"E: Failed to fetch {place}: 404  Not Found\n" for place in missing)
        return Result(code=100, stdout="", stderr=stderr) if missing else None

    def _apt_cache(self, argv: tuple[str, ...], _stdin: str | None) -> str:
        places = self._places(argv)
        if argv[-1] == "policy":
            rows = (
                f" 500 {place}/main amd64 Packages\n     release {_release(place)},c=main\n"
                for place in places
            )
            return "Package files:\n 100 /var/lib/dpkg/status\n     release a=now\n" + "".join(rows)
        found = {place: self.archives[place] for place in places if self.archives[place]}
        if not _sources(argv):
            found["http://archive.example.org stable"] = self.version
        return "".join(f"ceph-common | {v} | {place}/main amd64 Packages\n" for place, v in found.items())

    def _places(self, argv: tuple[str, ...]) -> list[str]:
        """Return the archives that apt knows beside the distribution's own, by its options or its folder."""
        folder = "/etc/apt/sources.list.d"
        paths = _sources(argv) or [f"{folder}/{name}" for name in self.machine.list_folder(folder)]
        lines = [line for path in paths for line in (self.machine.read(path) or "").splitlines()]
        words = [re.sub(r"^deb (\[.*\] )?", "", line).split() for line in lines if line.startswith("deb ")]
        return [" ".join(one[:2]) for one in words]

    # Ceph's programs

    def _monmaptool(self, argv: tuple[str, ...], _stdin: str | None) -> Result | str | None:
        path = argv[-1]
        if "--create" in argv:
            fsid = argv[argv.index("--fsid") + 1]
            name, endpoints = argv[argv.index("--addv") + 1 : argv.index("--addv") + 3]
            self._save_map(path, fsid, {name: _host(endpoints)}, ciphers=self._first_ciphers())
            return None
        fsid, monitors = self._load_map(path)
        if "--rm" in argv:
            del monitors[argv[argv.index("--rm") + 1]]
            self._save_map(path, fsid, monitors)
            return None
        rows = (f"[v2:{host}:3300/0,v1:{host}:6789/0] mon.{name}" for name, host in sorted(monitors.items()))
        return "".join(f"{rank}: {row}\n" for rank, row in enumerate(rows))

    def _ceph_authtool(self, argv: tuple[str, ...], _stdin: str | None) -> str:
        assert argv[1:] == ("--gen-print-key",)
        knows = twin.knows_aes256k(self.installed_version)
        return f"{self.cluster.new_key(twin.AES256K if knows else twin.AES)}\n"

    def _first_ciphers(self) -> dict[str, Any]:
        """Return what a new cluster allows."""
        if not twin.knows_aes256k(self.installed_version):
            return {}
        return {"allowed": [twin.AES256K], "preferred": twin.AES256K, "service": twin.AES256K}

    def _save_map(
        self,
        path: str,
        fsid: str,
        monitors: dict[str, str],
        *,
        as_ceph: bool = False,
        ciphers: dict[str, Any] | None = None,
    ) -> None:
        # The real programs follow a link that Ceph's user has put there.
        assert as_ceph or self.machine.is_roots(posixpath.dirname(path)), f"root writes {path} through links"
        self.machine.write(path, json.dumps({"fsid": fsid, "monitors": monitors, "ciphers": ciphers or {}}))

    def _load_map(self, path: str) -> tuple[str, dict[str, str]]:
        content = json.loads(self.machine.read(path) or "")
        return content["fsid"], content["monitors"]

    def _ceph_mon(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        options = _options(argv)
        path = f"/var/lib/ceph/mon/ceph-{options['-i']}/store.db"
        if "--extract-monmap" in options:
            self._save_map(
                options["--extract-monmap"],
                self.cluster.fsid,
                self.cluster.monitors,
                as_ceph=options.get("--setuser") == "ceph",
            )
        elif "--inject-monmap" in options:
            assert not self.runs(f"ceph-mon@{self.name}"), "a map is injected into a stopped monitor"
            _, self.cluster.monitors = self._load_map(options["--inject-monmap"])
        elif self.machine.exists(path):
            return Result(
                code=0, stdout="", stderr="already exists and is not empty: monitor may already exist"
            )
        else:
            store = self._new_store(options)
            self.machine.write(path, json.dumps(store))
            keyring = f'[mon.]\n\tkey = {store["key"]}\n\tcaps mon = "allow *"\n'
            self.machine.write(
                f"{posixpath.dirname(path)}/keyring", keyring, mode=0o600, user="ceph", group="ceph"
            )
        return None

    def _new_store(self, options: dict[str, str]) -> dict[str, Any]:
        fsid, monitors = self._load_map(options["--monmap"])
        keys = dict(re.findall(r"\[(\S+)\]\n\s*key = (\S+)", self.machine.read(options["--keyring"]) or ""))
        config = self.machine.read(twin.CONFIG) or ""
        assert f"fsid = {fsid}" in config
        return {
            "id": self.cluster.new_key(),
            "ciphers": json.loads(self.machine.read(options["--monmap"]) or "")["ciphers"],
            "fsid": fsid,
            "monitors": monitors,
            "address": (re.findall(r"^public_addr = (\S+)$", config, re.MULTILINE) or [self.address])[0],
            "key": keys["mon."],
            "admin-key": keys.get("client.admin", ""),
            "domain": "osd" if "osd_crush_chooseleaf_type = 0" in config else "host",
        }

    def _ceph(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        if argv[1] == "--admin-daemon":
            return self._monitor_itself(argv[3:])
        if not self.cluster.quorum:
            return Result(code=1, stdout="", stderr="[errno 110] RADOS timed out")
        path = argv[argv.index("-o") + 1]
        if argv[1:3] == ("mon", "getmap"):
            self._save_map(path, self.cluster.fsid, self.cluster.monitors)
        else:
            assert argv[1:3] == ("osd", "getcrushmap")
            self.machine.write(path, json.dumps([]))
        return None

    def _admin_socket(self, request: bytes) -> bytes:
        """Answer as the machine's monitor does on its admin socket: the length of what it says, then that."""
        if not self.runs(f"ceph-mon@{self.name}"):
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        assert json.loads(request.removesuffix(b"\0"))["prefix"] == "mon_status"
        self.cluster.tick()
        quorum = self.cluster.quorum
        state = "probing" if self.name not in quorum else "leader" if self.name == quorum[0] else "peon"
        said = json.dumps({"name": self.name, "state": state}).encode()
        return len(said).to_bytes(4, "big") + said

    def _monitor_itself(self, words: tuple[str, ...]) -> Result | None:
        if not self.runs(f"ceph-mon@{self.name}"):
            return Result(code=22, stdout="", stderr="admin_socket: exception getting command descriptions")
        if words == ("config", "unset", "ms_max_backoff"):
            self.cluster.eager.discard(self.name)
        else:
            assert words[:3] == ("config", "set", "ms_max_backoff")
            self.cluster.eager.add(self.name)
            self.cluster.tick()
        return None

    def _ceph_osd(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        options = _options(argv)
        folder, uuid = options["--osd-data"], options["--osd-uuid"]
        self._load_map(options["--monmap"])
        device = self.machine.resolve(f"{folder}/block")
        if self.machine.nodes[device].owner[0] != "ceph":
            return Result(code=1, stdout="", stderr=f"open {device}: (13) Permission denied")
        for link, kind in LINKS.items():
            if self.machine.exists(f"{folder}/{link}"):
                disk = self.machine.disk(f"{folder}/{link}")
                self._overwrite(disk)
                if disk.errno:
                    why = f"bdev({folder}/{link}) open open got: ({disk.errno}) {os.strerror(disk.errno)}"
                    return Result(code=1, stdout="", stderr=f"{why}\n" + "a line of a trace\n" * 250)
                disk.write(0, twin.LABEL + uuid.encode() + (kind or b"\nmain"))
        self.machine.write(f"{folder}/fsid", f"{uuid}\n", user="ceph", group="ceph")
        return None

    def _crushtool(self, argv: tuple[str, ...], _stdin: str | None) -> str | None:
        """Plan a rule, or show where rules put groups; a map is the list of the rules planned on it."""
        source = json.loads(self.machine.read(argv[argv.index("-i") + 1]) or "")
        if "--create-replicated-rule" in argv:
            kind = argv[argv.index("--create-replicated-rule") + 3]
            only = argv[argv.index("--device-class") + 1] if "--device-class" in argv else ""
            self.machine.write(argv[argv.index("-o") + 1], json.dumps([[kind, only]]))
            return None
        options = _options(argv)
        rule = int(options["--rule"])
        planned = [
            twin.Rule(number=1 + len(self.cluster.rules), name="planned", kind=kind, device_class=only)
            for kind, only in source
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

    def _overwrite(self, disk: Disk) -> None:
        """Have the cluster know if a disk is about to be overwritten that is an OSD's of it."""
        if not disk.errno and (label := disk.read(0, 60)).startswith(twin.LABEL):
            uuid = label[len(twin.LABEL) :][:36].decode()
            self.cluster.overwritten += [
                f"osd.{o.number} on {self.name}" for o in self.cluster.osds.values() if o.uuid == uuid
            ]

    def _signatures(self, path: str) -> list[str]:
        disk = self.machine.disk(path)
        return [name for (place, magic), name in SIGNATURES.items() if disk.read(place, len(magic)) == magic]

    def _blkid(self, argv: tuple[str, ...], _stdin: str | None) -> Result:
        found = self._signatures(argv[-1])
        if self.machine.exists(f"/sys/class/block/{argv[-1].removeprefix('/dev/')}/partition"):
            found.append('PART_ENTRY_SCHEME="gpt" PART_ENTRY_NAME="ceph-block.db"')
        words = f"{argv[-1]}: {found[0]}\n" if found else ""
        return Result(code=0 if found else 2, stdout=words, stderr="")

    def _wipefs(self, argv: tuple[str, ...], _stdin: str | None) -> Result | str:
        path = argv[-1]
        if "-n" in argv:
            return "".join(f"{name}\n" for name in self._signatures(path))
        disk = self.machine.disk(path)
        if disk.errno:
            return _broken(argv[0], disk)
        if any(disk.read(place, len(magic)) == magic for place, magic in SIGNATURES):
            self._overwrite(disk)
        for place, magic in SIGNATURES:
            if disk.read(place, len(magic)) == magic:
                disk.erase(place if place >= 0 else disk.size + place, len(magic))
        self.machine.log.append(f"wipe {path}")
        return ""

    def _blkdiscard(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        disk = self.machine.disk(argv[-1])
        options = _options(argv)
        if "-z" not in argv and not disk.discards:
            return Result(code=1, stdout="", stderr="BLKDISCARD ioctl failed: Operation not supported")
        if disk.errno:
            return _broken(argv[0], disk)
        self._overwrite(disk)
        self.tables.pop(id(disk), None)
        offset = int(options.get("-o", 0))
        disk.erase(offset, int(options.get("-l", disk.size - offset)))
        self.machine.log.append(shlex.join(argv))
        return None

    def _sfdisk(self, argv: tuple[str, ...], stdin: str | None) -> Result | str:
        """Keep a GPT's partitions; each has bytes of its own here, and the device none but those of the table."""
        words = [word for word in argv[1:] if not word.startswith("--")]
        path = self.machine.resolve(words[0])
        table = self.tables.get(id(self.machine.disk(path)))
        if "--json" in argv:
            if table is None or self.machine.disk(path).errno:
                return Result(code=1, stdout="", stderr="does not contain a recognized partition table")
            told = [{**part, "node": _part_name(path, number)} for number, part in sorted(table.items())]
            return json.dumps({"partitiontable": {"label": "gpt", "sectorsize": 512, "partitions": told}})
        self.machine.log.append(shlex.join(argv))
        if "--delete" in argv:
            assert table is not None
            del table[int(words[1])]
        elif "--append" in argv:
            assert table is not None
            known = dict(re.findall(r'(\w+)=("[^"]*"|[^,\n]+)', stdin or ""))
            number = next(n for n in itertools.count(1) if n not in table)
            sectors = int(known["size"].removesuffix("KiB")) * 2
            table[number] = {"size": sectors, "type": known["type"], "uuid": known["uuid"]}
        else:
            assert stdin == "label: gpt\n"
            self.tables[id(self.machine.disk(path))] = {}
            self.machine.disk(path).write(0x200, b"EFI PART")
            self.machine.disk(path).write(-0x200, b"EFI PART")
        return ""

    def _partx(self, argv: tuple[str, ...], _stdin: str | None) -> None:
        """Have the kernel know the partitions, where this machine's /dev shows what the kernel knows."""
        path = self.machine.resolve(argv[-1])
        table = self.tables.get(id(self.machine.disk(path)), {})
        shown = {_part_name(path, number): part for number, part in table.items() if self.shows_parts}
        for name in [name for name in self.machine.nodes if re.fullmatch(rf"{path}p?\d+", name)]:
            if name not in shown:
                self.machine.remove(name)
                self.machine.remove(f"/sys/class/block/{name.removeprefix('/dev/')}")
        for name, part in shown.items():
            if not self.machine.exists(name):
                self.machine.plug_in(name.removeprefix("/dev/"), part["size"] * 512)
                self.machine.have(f"/sys/class/block/{name.removeprefix('/dev/')}/partition", "1\n")

    def _lsblk(self, _argv: tuple[str, ...], _stdin: str | None) -> str:
        devices = [
            {
                "path": path,
                "size": 0 if node.disk.errno == errno.ENOMEDIUM else node.disk.size,
                "model": None,
                "rota": node.disk.rotates,
            }
            for path, node in self.machine.nodes.items()
            if node.disk
            and node.is_device
            and not self.machine.exists(f"/sys/class/block/{path.removeprefix('/dev/')}/partition")
        ]
        return json.dumps({"blockdevices": devices})


def _sources(argv: tuple[str, ...]) -> list[str]:
    """Return the one list of sources that apt's options name, if they do."""
    return [word.partition("=")[2] for word in argv if word.startswith("Dir::Etc::sourcelist=")]


def _release(place: str) -> str:
    """Return how an archive is named in apt's preferences."""
    return f"o=Example,n={place.split()[1]},l=Example"


def _broken(program: str, disk: Disk) -> Result:
    return Result(code=1, stdout="", stderr=f"{program}: {os.strerror(disk.errno)}")


def _part_name(path: str, number: int) -> str:
    return f"{path}p{number}" if path[-1].isdigit() else f"{path}{number}"


def _options(argv: tuple[str, ...]) -> dict[str, str]:
    """Return what follows each word: for an option its value."""
    return dict(itertools.pairwise(argv))


def _host(endpoints: str) -> str:
    return re.findall(r"v2:\[?([^],]+?)\]?:3300", endpoints)[0]
