"""A twin of HAProxy and keepalived on the machines of one application, in memory.

HAProxy takes its configuration when it starts or is told to read it again, if it is one: sections that it knows, servers
with addresses, a backend for each `default_backend`, ports that are free. Servers keep their state over a reload through
the file. Backends answer unless they are among `Network.silent`. keepalived's instances hear those that they name as their
peers and that name them; the highest priority gets the virtual addresses, and keeps them as long as its HAProxy answers.

Left out: sessions (each backend has as many as it is given), time (a check takes none), what checks ask for, name servers,
and two machines that take an address at once until they have heard each other.
"""

from __future__ import annotations

import dataclasses
import errno
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openinfra_charm.machine import InterfaceAddress, Result
from openinfra_charm.testing import Cryptography, Software

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine

HAPROXY = "haproxy.service"
KEEPALIVED = "keepalived.service"
CONFIG = "/etc/haproxy/haproxy.cfg"
KEEPALIVED_CONFIG = "/etc/keepalived/keepalived.conf"
ASK = "/usr/lib/openinfra/haproxy-ask"
SERVES = "/usr/lib/openinfra/haproxy-serves"
SOCKET = "/run/haproxy/admin.sock"
VERSIONS = {"haproxy": "3.0.11-1+deb13u1", "keepalived": "1:2.3.3-1"}
SECTIONS = {"global", "defaults", "frontend", "backend"}
WORDS = {
    *(
        "log",
        "chroot",
        "user",
        "group",
        "description",
        "stats",
        "server-state-file",
        "maxconn",
        "hard-stop-after",
    ),
    *("mode", "option", "no", "timeout", "retries", "load-server-state-from-file", "default-server", "bind"),
    *(
        "clitcpka-idle",
        "clitcpka-intvl",
        "clitcpka-cnt",
        "srvtcpka-idle",
        "srvtcpka-intvl",
        "srvtcpka-cnt",
        "monitor-uri",
        "http-request",
        "http-check",
        "tcp-request",
    ),
    *("tcp-check", "use_backend", "default_backend", "balance", "hash-type", "stick-table", "server"),
}
STAT = (
    "pxname,svname,scur,stot,status,lastchg,check_status,check_code,last_chk,type\n"
    "health,FRONTEND,0,9,OPEN,,,,,0\n"
)


@dataclass
class Section:
    """A frontend or backend: its lines."""

    kind: str
    name: str
    lines: list[list[str]] = field(default_factory=list[list[str]])

    def values(self, word: str) -> list[list[str]]:
        """Return what follows a word, for each line that begins with it."""
        return [line[1:] for line in self.lines if line[0] == word]


def parse(text: str) -> list[Section]:
    """Read a configuration.

    Raises:
        ValueError: It is none; the message is the number of the line and the reason.
    """
    sections: list[Section] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if not line.startswith(" "):
            if words[0] not in SECTIONS:
                raise ValueError(f"{number}] : unknown keyword '{words[0]}' out of section")
            sections.append(Section(words[0], " ".join(words[1:])))
        elif words[0] not in WORDS:
            raise ValueError(f"{number}] : unknown keyword '{words[0]}' in '{sections[-1].name}' section")
        elif words[0] == "server" and not re.fullmatch(r"(\[[0-9a-f:]+\]|[0-9.]+):\d+", words[2]):
            raise ValueError(f"{number}] : could not resolve address '{words[2]}'")
        else:
            sections[-1].lines.append(words)
    backends = {section.name for section in sections if section.kind == "backend"}
    for section in sections:
        for target in section.values("default_backend") + section.values("use_backend"):
            if target[0] not in backends:
                raise ValueError(f"1] : unable to find required backend: '{target[0]}'")
    return sections


@dataclass
class Network:
    """What the machines of an application share: who answers, and who has the virtual addresses."""

    silent: set[str] = field(default_factory=set[str])
    """Addresses of backends that do not answer."""
    since: int = 42
    """For how many seconds each of them has answered, or not."""
    machines: list[GatewaySoftware] = field(default_factory=list["GatewaySoftware"])

    def elect(self) -> None:
        """Let keepalived's instances hear each other."""
        for one in self.machines:
            if not one.may_have_vips:
                one.vips = frozenset()
        for one in sorted(self.machines, key=lambda one: (not one.vips, -one.priority)):
            heard = [other for other in self.machines if other is not one and other.vips and one.hears(other)]
            if one.may_have_vips and not heard:
                one.vips = one.wanted_vips
            elif heard and one.vips and any(other.priority > one.priority for other in heard):
                one.vips = frozenset()


class GatewaySoftware(Software):
    """Both daemons on a machine with one address."""

    def __init__(self, network: Network, machine: MemoryMachine, address: str) -> None:
        super().__init__()
        self.network = network
        self.machine = machine
        self.address = address
        self.sections: list[Section] = []
        self.version = ""
        self.drained: set[tuple[str, str]] = set()
        self.sessions: dict[tuple[str, str], int] = {}
        self._own = tuple(one for one in machine.held if one.address == address)
        self._vips: frozenset[str] = frozenset()
        self._keepalived = ""
        self._starts: dict[str, int] = {}
        network.machines.append(self)
        self.programs = {"haproxy": self._check, ASK: self._ask, SERVES: self._serves}
        self.streams = {SOCKET: self._stream}
        machine.bring(Cryptography())

    def version_of(self, package: str) -> str | None:
        """Return the version that Debian 13 has."""
        return VERSIONS.get(package)

    # HAProxy

    @property
    def serves(self) -> bool:
        """Whether HAProxy answers."""
        return self.machine.powered and self.machine.serves(HAPROXY)

    @property
    def ports(self) -> set[int]:
        """The ports at which it serves routes."""
        if not self.serves:
            return set()
        return _ports([section for section in self.sections if section.name != "health"])

    def backends_at(self, port: int) -> list[str]:
        """Return the backends to which what comes to a port is led."""
        fronts = [one for one in self.sections if one.kind == "frontend" and port in _ports([one])]
        return [
            words[0] for one in fronts for words in one.values("default_backend") + one.values("use_backend")
        ]

    def servers(self, backend: str) -> list[tuple[str, str]]:
        """Return the servers of a backend: name and address."""
        section = next(one for one in self.sections if (one.kind, one.name) == ("backend", backend))
        return [(words[0], words[1].rpartition(":")[0].strip("[]")) for words in section.values("server")]

    def reached(self, backend: str) -> list[str]:
        """Return the servers that new connections go to; of a single route, the first one that is up."""
        section = next(one for one in self.sections if (one.kind, one.name) == ("backend", backend))
        up = [name for name, address in self.servers(backend) if self._is_up(backend, name, address)]
        spare = {words[0] for words in section.values("server") if "backup" in words}
        return [name for name in up if name not in spare] or up[:1]

    def _is_up(self, backend: str, server: str, address: str) -> bool:
        return address not in self.network.silent and (backend, server) not in self.drained

    def can_run(self, unit: str) -> bool:
        """Return whether a daemon can run with its configuration."""
        if unit == HAPROXY:
            return self._loaded() is not None
        return unit != KEEPALIVED or bool(self.machine.read(KEEPALIVED_CONFIG))

    def services_changed(self) -> None:
        """Have a daemon that has been started begin with its configuration."""
        for unit in (HAPROXY, KEEPALIVED):
            count = self.machine.starts.get(unit, 0)
            if count != self._starts.get(unit, 0) and self.machine.services.get(unit) == "active":
                self._starts[unit] = count
                self._begin(unit)
        self.network.elect()

    def reloaded(self, unit: str) -> None:
        """Have a daemon take another configuration, if it is one."""
        if unit == HAPROXY:
            self._save()
        self._begin(unit)
        self.network.elect()

    def time_passed(self) -> None:
        """Look who answers now."""
        self.network.elect()

    def _begin(self, unit: str) -> None:
        if unit == KEEPALIVED:
            self._keepalived = self.machine.read(KEEPALIVED_CONFIG) or ""
        elif unit == HAPROXY and (sections := self._loaded()) is not None:
            self.sections = sections
            found = re.search(r"^    description (\S+)$", self.machine.read(CONFIG) or "", re.MULTILINE)
            self.version = found[1] if found else ""
            self.drained = self._saved()

    def _loaded(self) -> list[Section] | None:
        try:
            sections = parse(self.machine.read(CONFIG) or "")
        except ValueError:
            return None
        return None if _ports(sections) & self.machine.taken else sections

    @property
    def _state_file(self) -> str:
        found = re.search(r"server-state-file (\S+)", self.machine.read(CONFIG) or "")
        return found[1] if found else "/var/lib/haproxy/state"

    def _rows(self) -> str:
        lines = ["1", "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state"]
        for backend in [section for section in self.sections if section.kind == "backend"]:
            for name, address in self.servers(backend.name):
                bits = 8 if (backend.name, name) in self.drained else 0
                up = 0 if address in self.network.silent else 2
                lines.append(
                    f"4 {backend.name} 1 {name} {address} {up} {bits} 1 1 5 15 3 4 6 0 0 0 - 5000 - 0 0 - - 0"
                )
        return "".join(f"{line}\n" for line in lines)

    def _save(self) -> None:
        self.machine.have(self._state_file, self._rows(), mode=0o600)

    def _saved(self) -> set[tuple[str, str]]:
        rows = (line.split() for line in (self.machine.read(self._state_file) or "").splitlines())
        return {(row[1], row[3]) for row in rows if len(row) > 6 and row[6] == "8"}

    def _check(self, argv: tuple[str, ...], _stdin: str | None) -> Result:
        try:
            parse(self.machine.read(argv[-1]) or "")
        except ValueError as error:
            alert = f"[ALERT]    (77) : config : parsing [{argv[-1]}:{error}\n[ALERT]    (77) : config : Fatal errors found"
            return Result(code=1, stdout="", stderr=f"{alert} in configuration.\n")
        return Result(code=0, stdout="", stderr="")

    def _ask(self, argv: tuple[str, ...], _stdin: str | None) -> Result:
        if not self.serves:
            return Result(
                code=1, stdout="HAProxy does not answer: [Errno 111] Connection refused\n", stderr=""
            )
        if argv[1] == "--save":
            self._save()
            return Result(code=0, stdout="", stderr="")
        return Result(code=0, stdout=self._answers(argv[1]), stderr="")

    def _stream(self, data: bytes) -> bytes:
        if not self.serves:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        return self._answers(data.decode().strip()).encode()

    def _answers(self, commands: str) -> str:
        return "".join(self._answer(command) for command in commands.split(";"))

    def _answer(self, command: str) -> str:
        match command.split():
            case ["show", "info"]:
                return f"Name: HAProxy\nPid: 99\ndescription: {self.version}\n\n"
            case ["show", "stat"]:
                return "# " + STAT + self._stat() + "\n"
            case ["show", "servers", "state"]:
                return self._rows() + "\n"
            case ["set", "server", place, "state", state]:
                backend, _, name = place.partition("/")
                (self.drained.add if state == "drain" else self.drained.discard)((backend, name))
                return "\n"
            case ["shutdown", "sessions", "server", place]:
                backend, _, name = place.partition("/")
                self.sessions.pop((backend, name), None)
                return "\n"
            case _:
                return f"Unknown command: '{command}'\n"

    def _stat(self) -> str:
        rows: list[str] = []
        for backend in [section for section in self.sections if section.kind == "backend"]:
            for name, address in self.servers(backend.name):
                place = (backend.name, name)
                status, why = (
                    ("DOWN", "L4TOUT,,") if address in self.network.silent else ("UP", "L7OK,200,OK")
                )
                status = "DRAIN" if place in self.drained and status == "UP" else status
                rows.append(
                    f"{backend.name},{name},{self.sessions.get(place, 0)},7,{status},{self.network.since},{why},2\n"
                )
            rows.append(f"{backend.name},BACKEND,0,7,UP,42,,,,1\n")
        return "".join(rows)

    def _serves(self, _argv: tuple[str, ...], _stdin: str | None) -> Result:
        return Result(code=0 if self.serves else 1, stdout="", stderr="")

    # keepalived

    @property
    def may_have_vips(self) -> bool:
        """Whether keepalived runs, and the HAProxy that it looks at."""
        return self.serves and self.machine.serves(KEEPALIVED) and bool(self.wanted_vips)

    @property
    def priority(self) -> int:
        """The priority of its instance."""
        found = re.search(r"priority (\d+)", self._keepalived)
        return int(found[1]) if found else 0

    @property
    def wanted_vips(self) -> frozenset[str]:
        """The addresses that its instance wants."""
        return frozenset(re.findall(r"^        (\S+) dev \S+$", self._keepalived, re.MULTILINE))

    @property
    def peers(self) -> frozenset[str]:
        """Whom its instance speaks to."""
        found = re.search(r"unicast_peer \{\n(.*?)    \}", self._keepalived, re.DOTALL)
        return frozenset(found[1].split()) if found else frozenset()

    def hears(self, other: GatewaySoftware) -> bool:
        """Return whether it hears another one: both name each other."""
        return other.address in self.peers and self.address in other.peers

    @property
    def vips(self) -> frozenset[str]:
        """The virtual addresses that it has put on the interface."""
        return self._vips

    @vips.setter
    def vips(self, wanted: frozenset[str]) -> None:
        if wanted != self._vips:
            self._vips = wanted
            self.machine.held = [*self._own, *(held(one) for one in sorted(wanted))]


def held(vip: str) -> InterfaceAddress:
    """Return a virtual address as the kernel has it: beside the machine's own where it has the network's prefix."""
    address, _, prefix = vip.partition("/")
    added = InterfaceAddress(address=address, prefix=int(prefix))
    return dataclasses.replace(added, is_added=not added.is_single)


def _ports(sections: list[Section]) -> set[int]:
    return {int(words[0].rpartition(":")[2]) for section in sections for words in section.values("bind")}
