"""A machine in memory with OVN's programs, and a systemd that runs the databases' servers and northd."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import twin
from cryptography import x509

from openinfra_charm.daemon import tls
from openinfra_charm.machine import Result
from openinfra_charm.testing import Cryptography, Software

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine

UMBRELLA, NORTHD = "ovn-central.service", "ovn-northd.service"
SCHEMAS = {"nb": "OVN_Northbound", "sb": "OVN_Southbound"}
STANDALONE = "OVSDB JSON "


@cache
def certificates(text: str) -> list[Any]:
    """Return the certificates of a PEM text."""
    return x509.load_pem_x509_certificates(text.encode())


def unit_of(key: str) -> str:
    """Return the unit of a database's server."""
    return f"ovn-ovsdb-server-{key}.service"


def path_of(key: str) -> str:
    """Return the file of a database."""
    return f"/var/lib/ovn/ovn{key}_db.db"


class Tls:
    """What a daemon has loaded: it reads key and certificate when the file of the key is another one, and CAs when theirs is."""

    def __init__(self, machine: MemoryMachine) -> None:
        self.machine = machine
        self.chain = self.ca = ""
        self._key: object = None

    def load(self, unit: str, *, started: bool) -> None:
        """Read what the unit's command line names; what a daemon that runs has is kept until the key's file is another one."""
        text = self.machine.read(f"/etc/systemd/system/{unit}.d/openinfra.conf") or ""
        paths = dict(re.findall(r"--(private-key|certificate|ca-cert)=(\S+)", text))
        key = self.machine.nodes.get(paths.get("private-key", ""))
        if started or key is not self._key:
            self._key = key
            self.chain = (self.machine.read(paths.get("certificate", "")) or "") if key else ""
        self.ca = self.machine.read(paths.get("ca-cert", "")) or ""

    def takes(self, other: Tls) -> bool:
        """Return whether the other side's certificate is let in."""
        if not (self.chain and other.chain and self.ca):
            return False
        leaf, *between = certificates(other.chain)
        begins, ends = tls.validity(leaf)
        signers = [*between, *certificates(self.ca)]
        return begins <= self.machine.now() < ends and any(one.subject == leaf.issuer for one in signers)

    def talks_to(self, other: Tls) -> bool:
        """Return whether a new connection between both comes about."""
        return self.takes(other) and other.takes(self)


class OvsdbServer:
    """The server of one database on one machine. `listens` are the remotes that it has read of its configuration."""

    def __init__(self, machine: MemoryMachine, key: str) -> None:
        self.machine = machine
        self.key = key
        self.tls = Tls(machine)
        self.runs = False
        self.listens: dict[str, Any] = {}
        self._starts = 0

    @property
    def store(self) -> twin.Store | None:
        """What is in its file."""
        return twin.Store.parse(self.machine.read(path_of(self.key)))

    def save(self, store: twin.Store) -> None:
        """Put all on the disk, as a server does before it answers."""
        self.machine.have(path_of(self.key), str(store), mode=0o640)

    def talks_to(self, other: OvsdbServer) -> bool:
        """Return whether a new connection to another server comes about."""
        return self is other or self.tls.talks_to(other.tls)

    def follow(self) -> None:
        """Notice that it has started or ended, or that its files are others."""
        unit = unit_of(self.key)
        was, self.runs = self.runs, self.machine.powered and self.machine.serves(unit)
        started = self.runs and (not was or self.machine.starts.get(unit, 0) != self._starts)
        self._starts = self.machine.starts.get(unit, 0)
        if self.runs:
            self.tls.load(unit, started=started)
        if started:
            self.read_config()

    def read_config(self) -> bool:
        """Read where to listen; return whether the file can be read."""
        text = self.machine.read(f"/etc/systemd/system/{unit_of(self.key)}.d/openinfra.conf") or ""
        found = re.search(r"--config-file=(\S+)", text)
        config = json.loads((self.machine.read(found[1]) if found else None) or "{}")
        if path_of(self.key) not in config.get("databases", {}):
            return False
        self.listens = config["remotes"]
        return True


class Northd:
    """A machine's northd."""

    def __init__(self, ovn: twin.Ovn, machine: MemoryMachine) -> None:
        self.ovn = ovn
        self.machine = machine
        self.tls = Tls(machine)
        self.runs = False
        self._starts = 0
        self.remotes: dict[str, list[str]] = {}

    def follow(self) -> None:
        """Notice that it has started or ended, or that its files are others."""
        was, self.runs = self.runs, self.machine.powered and self.machine.serves(NORTHD)
        started = self.runs and (not was or self.machine.starts.get(NORTHD, 0) != self._starts)
        self._starts = self.machine.starts.get(NORTHD, 0)
        if self.runs:
            self.tls.load(NORTHD, started=started)
        if started:
            text = self.machine.read(f"/etc/systemd/system/{NORTHD}.d/openinfra.conf") or ""
            self.remotes = {
                key: text_of.split(",") for key, text_of in re.findall(r"--ovn(nb|sb)-db=(\S*)", text)
            }

    @property
    def is_connected(self) -> bool:
        """Whether it reaches the leaders of both databases, as it has to."""
        return self.runs and all(self._reaches(key) for key in twin.KEYS)

    def _reaches(self, key: str) -> bool:
        leaders = [leader for cluster in self.ovn.clusters(key) if (leader := self.ovn.leader(cluster))]
        return any(
            _passive(remote) in leader.listens
            for leader in leaders
            for remote in self.remotes.get(key, [])
            if self.tls.talks_to(leader.tls)
        )


def _passive(remote: str) -> str:
    """Return how a server listens for what connects to a remote: `pssl:6641:10.0.0.10` for `ssl:10.0.0.10:6641`."""
    scheme, _, rest = remote.partition(":")
    host, _, port = rest.rpartition(":")
    return f"p{scheme}:{port}:{host}"


class OvnSoftware(Software):
    """OVN's programs and daemons on one machine; `version` is the packages'."""

    def __init__(
        self, ovn: twin.Ovn, machine: MemoryMachine, address: str, version: str = "25.03.0-1"
    ) -> None:
        super().__init__()
        self.ovn = ovn
        self.machine = machine
        self.address = address
        self.version = version
        self.servers = {key: OvsdbServer(machine, key) for key in twin.KEYS}
        self.northd = Northd(ovn, machine)
        self._others = machine.handlers.get("ovn-appctl")
        """Who answers for OVN's other daemons on this machine."""
        self._clients = machine.handlers.get("ovsdb-client")
        """Who plays that program for those that write from this machine."""
        ovn.servers += self.servers.values()
        ovn.northds.append(self.northd)
        self.programs = {
            "ovsdb-tool": self._tool,
            "ovn-appctl": self._appctl,
            "ovsdb-client": self._client,
            "ovn-nbctl": self._nbctl,
            "sync": self._sync,
            "mv": self._mv,
        }
        self.libraries = Cryptography().libraries

    # What happens on it

    def version_of(self, package: str) -> str | None:
        """Return the version of OVN's packages; they enable what founds databases."""
        if package != "ovn-central":
            return None
        self.machine.enabled.add(UMBRELLA)
        return self.version

    def program_of(self, unit: str) -> str:
        """Return which program a service would run that starts now."""
        return self.version if unit.startswith("ovn-ovsdb-server") or unit == NORTHD else ""

    def can_run(self, unit: str) -> bool:
        """Return whether a server has a file that it can start with."""
        for key in twin.KEYS:
            if unit == unit_of(key):
                store = self.servers[key].store
                return store is not None and not store.left
        return True

    def services_changed(self) -> None:
        """Notice that daemons have started or ended."""
        for server in self.servers.values():
            server.follow()
        self.northd.follow()
        self.ovn.tick()

    def time_passed(self) -> None:
        """Let daemons look at their files, servers find each other, and clients write."""
        self.services_changed()
        self.ovn.time_passed(self.machine.time.now)

    # Its programs

    def _tool(self, argv: tuple[str, ...], _stdin: str | None) -> Result | str | None:  # noqa: PLR0911  one for each command
        options = dict(word.removeprefix("--").split("=") for word in argv[1:] if word.startswith("--"))
        command, *words = (word for word in argv[1:] if not word.startswith("--"))
        store = twin.Store.parse(self.machine.read(words[0]))
        match command:
            case "create-cluster":
                text = self.machine.read(words[1]) or ""
                writes = json.loads(text.removeprefix(STANDALONE)) if text.startswith(STANDALONE) else []
                new = twin.Store(self.ovn.new_id(), self.ovn.new_id(), words[2], joined=True, writes=writes)
                self.ovn.found(new, int(options["election-timer"]))
                self.ovn.schemas["sb" if "sb" in words[0] else "nb"] = self.version
                return self._make(words[0], str(new))
            case "join-cluster":
                _, _, address, *remotes = words
                return self._make(
                    words[0], str(twin.Store(options["cid"], self.ovn.new_id(), address, remotes))
                )
            case "db-cid" | "db-sid" if store:
                return f"{store.cluster if command == 'db-cid' else store.server}\n"
            case "check-cluster" if store and store.left:
                return f"{words[0]}: record 8 shows that the server left the cluster\n"
            case "check-cluster" if store:
                return ""
            case "cluster-to-standalone":
                source = twin.Store.parse(self.machine.read(words[1]))
                assert source is not None
                return self._make(words[0], f"{STANDALONE}{json.dumps(source.writes)}")
            case "query":
                text = self.machine.read(words[0]) or ""
                rows = '[{"rows":[{"_uuid":["uuid","f9c414ee-eec0-4cd1-a95b-2e3c0e0eb6bc"]}]}]\n'
                return (
                    rows
                    if text.startswith(STANDALONE)
                    else _error(f"ovsdb-tool: I/O error: {words[0]}: error reading")
                )
            case _:
                return _error(f"ovsdb-tool: {words[0]}: not a clustered database")

    def _make(self, path: str, content: str) -> None:
        """Have a program write a file, which a power loss takes as long as nobody syncs it."""
        assert not self.machine.exists(path), f"{path} is there already"
        self.machine._make_file(path, content.encode(), mode=0o640, user="root", group="root")
        folder, _, name = path.rpartition("/")
        self.machine.have(f"{folder}/.{name}.~lock~", "")

    def _sync(self, argv: tuple[str, ...], _stdin: str | None) -> None:
        self.machine._sync(argv[-1])

    def _mv(self, argv: tuple[str, ...], _stdin: str | None) -> None:
        _, old, new = argv
        self.machine._rename(old, new)
        folder, _, name = new.rpartition("/")
        self.machine.have(f"{folder}/.{name}.~lock~", "")

    def _appctl(  # noqa: PLR0911  one for each way that it fails
        self, argv: tuple[str, ...], stdin: str | None
    ) -> Result | str | None:
        if "ovn-controller" in argv and self._others:
            return self._others(argv, stdin)
        self.services_changed()
        _, target, command, *words = argv[argv.index("-t") :]
        if target == "ovn-northd":
            if not self.northd.runs:
                return _error("ovn-appctl: cannot connect to ovn-northd")
            return f"Status: {'active' if self.ovn.lock is self.northd else 'standby'}\n"
        key = target.removeprefix("/run/ovn/ovn")[:2]
        server = self.servers[key]
        if not server.runs:
            return _error(f'ovn-appctl: cannot connect to "{target}" (No such file or directory)')
        if command == "ovsdb-server/reload":
            return (
                None
                if server.read_config()
                else _error("Configuration failed.  See the log file for details.")
            )
        store = server.store
        if store is None or store.left:
            return _error("unknown cluster\novn-appctl: server returned an error")
        assert words[0] == SCHEMAS[key]
        return self._cluster(command, words[1:], server, store)

    def _cluster(  # noqa: PLR0911  one for each command
        self, command: str, words: list[str], server: OvsdbServer, store: twin.Store
    ) -> Result | str | None:
        cluster = store.cluster
        match command:
            case "cluster/status":
                return self._status(server, store)
            case "cluster/kick":
                found = [one for one in self.ovn.configs[cluster] if one.startswith(words[0])]
                if not found:
                    return _error("unknown server\novn-appctl: server returned an error")
                if not self.ovn.remove(cluster, found[0]):
                    return _error("failed to send removal request\novn-appctl: server returned an error")
                return "sent removal request to leader\n"
            case "cluster/leave":
                self.ovn.remove(cluster, store.server)
                return None
            case "cluster/change-election-timer":
                timer = int(words[0])
                if self.ovn.leader(cluster) is not server:
                    return _error("election timer must be changed through leader.")
                if timer > 2 * self.ovn.timers[cluster]:
                    return _error("election timer increase should not exceed the current value x 2.")
                self.ovn.timers[cluster] = timer
                return "change of election timer initiated.\n"
            case "ovsdb-server/compact":
                return None
            case _:
                return _error(f'"{command}" is not a valid command')

    def _status(self, server: OvsdbServer, store: twin.Store) -> str:
        """Say what `cluster/status` does, in the words of OVS 3.5."""
        ovn, cluster = self.ovn, store.cluster
        is_in = store.server in ovn.configs[cluster]
        leader = ovn.leader(cluster) if is_in else None
        leads = leader is server
        state = "cluster member" if leader else "disconnected from the cluster (election timeout)"
        shown = ovn.configs[cluster] if is_in else {**ovn.configs[cluster], store.server: store.address}
        there = {one.store.server for one in ovn.present(cluster) if one.store}
        others = [one for one in shown if one != store.server]
        connections = " ".join(
            f"->{one[:4]} <-{one[:4]}" if one in there else f"(->{one[:4]})" for one in others
        )
        if not store.joined:
            state, shown = "joining cluster", {}
        name = (
            "unknown"
            if leader is None
            else "self"
            if leads
            else (leader.store.server[:4] if leader.store else "")
        )
        role = "leader" if leads else "follower" if leader or not store.joined else "candidate"
        servers = "".join(
            f"    {one[:4]} ({one[:4]} at {address}){' (self)' if one == store.server else ''}\n"
            for one, address in shown.items()
        )
        return (
            f"{store.server[:4]}\nName: {SCHEMAS[server.key]}\nCluster ID: {cluster[:4]} ({cluster})\n"
            f"Server ID: {store.server[:4]} ({store.server})\nAddress: {store.address}\nStatus: {state}\nRole: {role}\n"
            f"Term: 2\nLeader: {name}\nVote: unknown\n\nElection timer: {ovn.timers[cluster]}\nLog: [2, 4]\n"
            f"Entries not yet committed: 0\nEntries not yet applied: 0\nConnections: {connections}\nDisconnections: 0\n"
            f"Servers:\n{servers}"
        )

    def _client(self, argv: tuple[str, ...], stdin: str | None) -> Result | str | None:
        if self._clients and "transact" in argv:
            return self._clients(argv, stdin)
        self.services_changed()
        words = [word for word in argv[1:] if not word.isdigit() and word != "-t"]
        command, socket = words[:2]
        key = socket.removeprefix("unix:/run/ovn/ovn")[:2]
        server = self.servers[key]
        store = server.store
        if not server.runs or store is None or not self.ovn.has_quorum(store.cluster):
            return _error(f"ovsdb-client: failed to connect to {socket}")
        match command:
            case "needs-conversion":
                return "yes\n" if self.ovn.schemas[key] != self.version else "no\n"
            case "convert":
                self.ovn.schemas[key] = self.version
                return None
            case "backup":
                return f"{STANDALONE}{json.dumps(store.writes)}"
            case _:
                return _error(f"ovsdb-client: unknown command '{command}'")

    def _nbctl(self, argv: tuple[str, ...], _stdin: str | None) -> Result | str | None:
        self.services_changed()
        store = self.servers["nb"].store
        if not self.servers["nb"].runs or store is None or not self.ovn.has_quorum(store.cluster):
            return _error("ovn-nbctl: unix:/run/ovn/ovnnb_db.sock: database connection failed ()")
        if "set" in argv:
            key, _, value = argv[-1].removeprefix("options:").partition("=")
            self.ovn.options[key] = value
            return None
        return (
            f'"{self.ovn.options[key]}"\n'
            if (key := argv[-1].removeprefix("options:")) in self.ovn.options
            else "\n"
        )


def _error(words: str) -> Result:
    return Result(code=2, stdout="", stderr=f"{words}\n")
