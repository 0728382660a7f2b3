"""A machine in memory with MariaDB's programs, and a systemd that runs the server."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import twin
from cryptography import x509

import backup
from openinfra_charm.daemon import tls
from openinfra_charm.machine import Answer, Result
from openinfra_charm.testing import Cryptography, Request, Software
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine

UNIT = "mariadb.service"
HEALTH_PORT = 13307
CONFIG = "/etc/mysql/mariadb.conf.d/99-openinfra.cnf"
DATA = "/var/lib/mysql"
START = "/usr/lib/openinfra/mariadb-start"
LONGEST_NAME = 32
"""Servers whose cluster has a longer name do not understand each other."""
REQUEST = "/run/mysqld/openinfra-new-cluster"


@dataclass(frozen=True)
class Presented:
    """What a server has loaded: the certificate that it presents, the CAs that it trusts, and whether clear is let in."""

    chain: str
    ca: str
    mixed: bool

    def takes(self, other: Presented, now: float) -> bool:
        """Return whether the other side's certificate is let in."""
        leaf, *between = certificates(other.chain)
        begins, ends = tls.validity(leaf)
        signers = [*between, *certificates(self.ca)]
        return begins <= now < ends and any(signer.subject == leaf.issuer for signer in signers)


@cache
def certificates(text: str) -> list[Any]:
    """Return the certificates of a PEM text."""
    return x509.load_pem_x509_certificates(text.encode())


class MariaDb(Software):
    """MariaDB's programs and its server on one machine; `version` is the packages'."""

    def __init__(
        self, galera: twin.Galera, machine: MemoryMachine, address: str, version: str = "1:11.8.6-0+deb13u1"
    ) -> None:
        super().__init__()
        self.galera = galera
        self.machine = machine
        self.name = machine.name
        self.address = address
        self.version = version
        self.has_answered = False
        self.runs = False
        self.state = "Synced"
        """What it says of itself in the component; a start makes it `Synced` again."""
        self.applies = ""
        """The statement of others that it is running, if one takes long."""
        self.invalid: dict[str, str] = {}
        """What a dump of a database stumbles over, in mariadb-dump's words."""
        self.presented: Presented | None = None
        self.requires_tls = False
        self._start = 0
        for one in galera.servers.values():
            self._meet(one)
            one._meet(self)
        galera.servers[self.name] = self
        self.programs = {
            "mariadb": self._mariadb,
            "mariadb-install-db": self._install_db,
            "/usr/bin/galera_recovery": self._galera_recovery,
            "systemctl": self._systemctl,
            "bash": self._bash,
            "mariadb-backup": self._prepare,
            "mariadb-check": self._check,
            "sha256sum": self._sum,
            "stat": self._size,
            "systemd-analyze": self._analyze,
            "chown": lambda _argv, _stdin: None,
            "chmod": lambda _argv, _stdin: None,
        }
        self.libraries = Cryptography().libraries

    # Its disk

    def load(self) -> twin.Store:
        """Return what the data folder holds."""
        text = self.machine.read(f"{DATA}/ibdata1")
        store = twin.Store(**json.loads(text)) if text else twin.Store()
        saved = self.machine.read(f"{DATA}/grastate.dat")
        # Without the file Galera takes it for safe, as with data that come from a backup.
        store.safe = saved is None or "safe_to_bootstrap: 1" in saved
        if not self.machine.exists(f"{DATA}/gvwstate.dat"):
            store.view = None
        return store

    def save(self, store: twin.Store) -> None:
        """Put all on the disk, as every commit and every change of the component does."""
        self.machine.have(f"{DATA}/mysql/db.frm", "system tables")
        self.machine.have(f"{DATA}/ibdata1", json.dumps(dataclasses.asdict(store)), mode=0o660)
        self.machine.have(
            f"{DATA}/grastate.dat",
            f"# GALERA saved state\nversion: 2.1\nuuid:    {store.uuid}\nseqno:   -1\nsafe_to_bootstrap: {int(store.safe)}\n",
            mode=0o660,
        )
        if store.view is None:
            if self.machine.exists(f"{DATA}/gvwstate.dat"):
                self.machine._forget(f"{DATA}/gvwstate.dat")
                self.machine._durable.pop(f"{DATA}/gvwstate.dat", None)
        else:
            self.machine.have(
                f"{DATA}/gvwstate.dat", "".join(f"member: {n} 0\n" for n in store.view), mode=0o660
            )

    # Its configuration

    @property
    def peers(self) -> list[str]:
        """The members that the server was told of when it started."""
        hosts = (self._option("wsrep_cluster_address") or "").removeprefix("gcomm://").split(",")
        return [host.strip("[]") for host in hosts]

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        found = re.search(r"--wsrep-cluster-name=(\S+)", self.machine.read(START) or "")
        return found[1] if found and len(found[1]) <= LONGEST_NAME else ""

    def load_certificate(self) -> None:
        """Read the certificate's files, as a start and a reload do."""
        paths = dict(re.findall(r"^(ssl_\w+) = (.*)$", self.machine.read(CONFIG) or "", re.MULTILINE))
        files = [
            self.machine.read(paths[name]) if name in paths else None
            for name in ("ssl_cert", "ssl_ca", "ssl_key")
        ]
        mixed = "socket.dynamic=true" in (self.machine.read(CONFIG) or "")
        self.presented = Presented(files[0], files[1], mixed) if files[0] and files[1] and files[2] else None

    def talks_to(self, other: MariaDb) -> bool:
        """Return whether a new connection to another member comes about."""
        mine, theirs, now = self.presented, other.presented, self.machine.now()
        if mine and theirs:
            return mine.takes(theirs, now) and theirs.takes(mine, now)
        return all(one is None or one.mixed for one in (mine, theirs))

    def _option(self, name: str) -> str | None:
        found = re.search(rf"^{name} = (.*)$", self.machine.read(CONFIG) or "", re.MULTILINE)
        return found[1] if found else None

    # What happens on it

    def version_of(self, package: str) -> str | None:
        """Return the version of MariaDB's packages."""
        return self.version if package.startswith("mariadb") else None

    def can_run(self, unit: str) -> bool:
        """Return whether the server has something to start with."""
        return unit != UNIT or self.machine.exists(f"{DATA}/mysql")

    def services_changed(self) -> None:
        """Notice that the server has started or ended."""
        active = self.machine.powered and self.machine.serves(UNIT)
        count = self.machine.starts.get(UNIT, 0)
        if self.runs and (not active or count != self._start):
            self.runs = self.has_answered = False
            self.galera.stopped(self, in_order=self.machine.powered)
        if active and not self.runs:
            self.runs, self._start, self.state = True, count, "Synced"
            self.load_certificate()
            self.requires_tls = self._option("require_secure_transport") == "ON"
            begin = self.machine.exists(REQUEST)
            if begin:
                self.machine._forget(REQUEST)
            store = self.load()
            is_new = store.uuid == twin.NOBODY
            alone = self.peers == [self.address] and store.view is None and (store.safe or is_new)
            self.galera.started(self, begin=begin or alone)
        self.galera.tick()

    def abort(self, why: str) -> None:
        """End by itself; systemd tries again for ever, which nobody sees here."""
        self.runs = self.has_answered = False
        self.galera.faults.append(f"{self.name}: {why}")

    # What other machines see of it

    def _meet(self, other: MariaDb) -> None:
        """Reach another machine's health service."""
        for scheme in ("http", "https"):
            place = f"{scheme}://{bracketed(other.address)}:{HEALTH_PORT}"
            self.machine.network[place] = partial(other._answer_health, scheme)

    def _answer_health(self, scheme: str, request: Request) -> Answer:
        """Answer as the health service does, in clear or by TLS."""
        units = [unit for unit in self.machine.services if unit.endswith("-health.service")]
        folders = [unit.removesuffix("-health.service") for unit in units if self.machine.serves(unit)]
        files = [self.machine.read(f"/etc/{folder}/health-files") for folder in folders]
        if not self.machine.powered or not files or bool(files[0]) != (scheme == "https"):
            raise ConnectionRefusedError(request.path)
        self.services_changed()
        healthy = request.path == "/synced" and self.has_answered and self.state == "Synced"
        return Answer(status=200 if healthy else 503, headers={}, body=f"{self.state}\n")

    def copies(self) -> list[twin.Store]:
        """Return all data on the machine's disk: the server's, and what lies beside it."""
        above, _, name = DATA.rpartition("/")
        folders = [folder for folder in self.machine.list_folder(above) if folder.startswith(name)]
        return [
            self._store_in(f"{above}/{folder}")
            for folder in folders
            if self.machine.read(f"{above}/{folder}/ibdata1")
        ]

    def time_passed(self) -> None:
        """Let servers find each other, and clients write."""
        self.services_changed()
        self.galera.time_passed(self.machine.time.now)

    def version_text(self) -> str:
        """Return the version as the server says it."""
        return self.version

    # MariaDB's programs

    def _mariadb(self, argv: tuple[str, ...], stdin: str | None) -> Result:
        self.services_changed()
        if f"--socket={DATA}.verify/socket" in argv:
            store = self._store_in(f"{DATA}.verify")
            answer = (
                twin.read(store, (stdin or "").strip().removesuffix(";"))
                or "ERROR 1064 (42000): no such statement"
            )
        else:
            answer = self.galera.query(self, stdin or "")
        if isinstance(answer, str):
            return Result(code=1, stdout="", stderr=f"{answer}\n")
        return Result(code=0, stdout="".join("\t".join(row) + "\n" for row in answer), stderr="")

    def _install_db(self, _argv: tuple[str, ...], _stdin: str | None) -> None:
        self.machine.have(f"{DATA}/mysql/db.frm", "system tables")

    def _galera_recovery(self, _argv: tuple[str, ...], _stdin: str | None) -> str:
        assert not self.runs, "a position is read of a stopped server"
        store = self.load()
        return f"--wsrep_start_position={store.uuid}:{store.seqno}\n"

    def _systemctl(self, argv: tuple[str, ...], stdin: str | None) -> None:
        verb, unit = (word for word in argv[1:] if not word.startswith("--"))
        if verb != "kill":
            self.machine._systemctl((argv[0], verb, unit), stdin)
            return
        self.machine.log.append(f"kill {unit}")
        if unit == UNIT and self.runs:
            self.runs = self.has_answered = False
            self.galera.stopped(self, in_order=False)
        self.machine._start(unit)

    # Backups: a file is a store, or the name of a database

    def _bash(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        script, _, *words = argv[argv.index("-c") + 1 :]
        if script == backup.DUMP and words[-1] in self.invalid:
            self._put(f"{words[1]}/dump.log", f"mariadb-dump: {self.invalid[words[-1]]}\n")
            self._put(f"{words[1]}/{words[2]}", words[-1])
            return Result(code=backup.IN_PART, stdout="", stderr="")
        if script in {backup.COPY, backup.DUMP} and not self.has_answered:
            return Result(code=1, stdout="", stderr="no server answers")
        if script == backup.COPY:
            _, folder, name = words
            self._put(f"{folder}/{name}", json.dumps(dataclasses.asdict(self.load())))
        elif script == backup.DUMP:
            _, folder, name, database = words
            self._put(f"{folder}/{name}", database)
        elif script == backup.UNPACK:
            path, target = words
            known = json.loads(self.machine.read(path) or "")
            store = twin.Store(**known | {"view": None, "safe": False, "restored": True})
            self._put(f"{target}/ibdata1", json.dumps(dataclasses.asdict(store)))
            self._put(f"{target}/mysql/db.frm", "system tables")
        elif script == backup.LOAD:
            path, _ = words
            answer = self.galera.query(
                self, f"CREATE DATABASE IF NOT EXISTS `{self.machine.read(path)}` CHARACTER SET utf8mb4"
            )
            return Result(code=1, stdout="", stderr=answer) if isinstance(answer, str) else None
        return None

    def _put(self, path: str, content: str) -> None:
        """Have a program write a file, which a power loss takes as long as nobody syncs it."""
        if self.machine.exists(path):
            self.machine.remove(path)
        self.machine._make_file(path, content.encode(), mode=0o644, user="root", group="root")

    def _store_in(self, folder: str) -> twin.Store:
        return twin.Store(**json.loads(self.machine.read(f"{folder}/ibdata1") or "{}"))

    def _prepare(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        folder = argv[-1].removeprefix("--target-dir=")
        if self.machine.read(f"{folder}/ibdata1"):
            return None
        return Result(code=1, stdout="", stderr=f"cannot find a backup in {folder}")

    def _check(self, _argv: tuple[str, ...], _stdin: str | None) -> None:
        """All tables are sound."""

    def _sum(self, argv: tuple[str, ...], _stdin: str | None) -> str | Result:
        content = self.machine.read(argv[-1])
        if content is None:
            return Result(code=1, stdout="", stderr=f"{argv[-1]}: No such file or directory")
        return f"{hashlib.sha256(content.encode()).hexdigest()}  {argv[-1]}\n"

    def _size(self, argv: tuple[str, ...], _stdin: str | None) -> str:
        return f"{len(self.machine.read(argv[-1]) or '')}\n"

    def _analyze(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        known = argv[-1] in {"hourly", "daily", "weekly"} or ":" in argv[-1]
        return None if known else Result(code=1, stdout="", stderr="Failed to parse calendar specification")
