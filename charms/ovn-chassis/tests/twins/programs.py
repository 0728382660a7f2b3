"""A twin of Open vSwitch and ovn-controller on one machine: what is configured, and whether the machine is reached.

Played: Open vSwitch's database, which outlasts starts of the machine; who forwards (the kernel, if it has the module); interfaces with
their names, MAC addresses and addresses; systemd-networkd, which gives addresses by the first file that matches; who answers a ping,
as long as the machine has its address where its packets go; ovn-controller, which is connected when it knows where the
databases are and has a certificate.

The metadata agent makes a namespace with an HAProxy, which outlives it.

Left out: packets, flows, tunnels, the southbound database, interfaces that are made anew (see the tests of the tap guard), and how long
anything takes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import Result
from openinfra_charm.testing import Cryptography

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine

CONTROLLER, SWITCHD = "ovn-controller.service", "ovs-vswitchd.service"
NETWORKD = "systemd-networkd.service"
CONF = "/var/lib/openvswitch/conf.db"
DROP_IN = "/etc/systemd/system/ovn-controller.service.d/openinfra.conf"
SOURCE = "/etc/systemd/network/10-eth.network"
GATEWAY = "10.0.0.1"
AGENT = "-metadata.service"
NAMESPACE = "ovnmeta-11111111-2222-3333-4444-555555555555"
"""That of a network with a virtual machine here."""


@dataclass
class Nic:
    """An interface of the machine. `address` is what a network's files give it; empty for one that nobody has configured."""

    name: str
    mac: str
    address: str = ""
    mtu: int = 1500
    is_up: bool = True


@dataclass
class Database:
    """What is in Open vSwitch's database."""

    external_ids: dict[str, str] = field(default_factory=dict[str, str])
    other_config: dict[str, str] = field(default_factory=dict[str, str])
    bridges: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Each with its `columns`, and its `ports`: of each its external ids."""
    guests: dict[str, int] = field(default_factory=dict[str, int])
    """Interfaces of virtual machines in OVN's bridge, with their MTU."""


class ChassisSoftware(Cryptography):
    """The programs on one machine. `has_module` tells whether the kernel has Open vSwitch, `cut_off` that nobody answers."""

    def __init__(self, machine: MemoryMachine, address: str, *, has_module: bool = False) -> None:
        super().__init__()
        self.machine = machine
        self.address = address
        self.has_module = has_module
        self.cut_off = False
        """Whether bridges get no answer: whoever moves an address into one is off the network."""
        self.small = False
        """Whether packets of full size are dropped on the way."""
        self.nics = [
            Nic("eth0", "52:54:00:00:00:01", f"{address}/24"),
            Nic("eth1", "52:54:00:00:00:02", is_up=False),
        ]
        self.proxies: dict[str, str] = {}
        """The namespaces of the metadata agent, each with the number of the HAProxy in it, which outlives the agent."""
        self.exits: list[str] = []
        """How ovn-controller was stopped: `restart`, or for good."""
        self._was_running = False
        self._others = machine.handlers.get("ovn-appctl")
        """Who answers for OVN's other daemons on this machine."""
        self.programs = {
            "ovs-vsctl": self._vsctl,
            "ovn-appctl": self._appctl,
            "ip": self._ip,
            "ping": self._ping,
            "kill": self._kill,
            "modprobe": self._modprobe,
            "networkctl": lambda argv, _: self._networkctl(argv),
        }

    # What happens on it

    def version_of(self, package: str) -> str | None:
        """Return the versions that Debian 13 has; the packages enable their daemons."""
        if package == "ovn-host":
            self.machine.enabled.add("ovn-host.service")
            return "25.03.0-1"
        return "3.5.0-1+b1" if package == "openvswitch-switch" else None

    def started(self) -> None:
        """Make what a start of the machine brings."""
        self.machine.services[NETWORKD] = "active"
        self.proxies.clear()
        self.machine.have(SOURCE, "[Match]\nName=eth*\n\n[Network]\nDHCP=ipv4\n")
        for nic in self.nics:
            self.machine.have(f"/sys/class/net/{nic.name}/mtu", f"{nic.mtu}\n")
            self.machine.have(f"/sys/class/net/{nic.name}/ifindex", "2\n")
        self.machine.have("/run/systemd/netif/leases/2", "ADDRESS=10.0.0.10\nCLIENTID=ff0000002a0002\n")

    def services_changed(self) -> None:
        """Notice how ovn-controller ends."""
        runs = self.machine.serves(CONTROLLER)
        if self._was_running and not runs and self.machine.powered:
            drop_in = self.machine.read(DROP_IN) or ""
            found = re.search(r"test -e (\S+)", drop_in)
            leaves = bool(found and self.machine.exists(found[1]))
            self.exits.append("for good" if leaves else "restart")
        self._was_running = runs
        if self.agent_works and NAMESPACE not in self.proxies:
            self.proxies[NAMESPACE] = "4711"
            self.machine.have(f"/run/netns/{NAMESPACE}", "")

    @property
    def has_agent(self) -> bool:
        """Whether there is a metadata agent."""
        return any(name.endswith(AGENT) for name in self.machine.list_folder("/etc/systemd/system"))

    @property
    def agent_works(self) -> bool:
        """Whether the metadata agent runs with a configuration that leads to the databases, of a program that is there."""
        unit = next((unit for unit in self.machine.services if unit.endswith(AGENT)), "")
        text = self.machine.read(f"/etc/systemd/system/{unit}") or ""
        found = re.search(r"^ExecStart=(\S+) --config-file=(\S+)$", text, re.MULTILINE)
        if not found or not self.machine.serves(unit):
            return False
        config = self.machine.read(found[2]) or ""
        paths = dict(re.findall(r"^ovn_sb_(\w+) = (/\S+)$", config, re.MULTILINE))
        return (
            self.machine.exists(found[1].partition("/bin/")[0])
            and "ovn_sb_connection = ssl:" in config
            and {"private_key", "certificate", "ca_cert"} <= paths.keys()
            and all(self.machine.read(path) for path in paths.values())
        )

    @property
    def database(self) -> Database:
        """What Open vSwitch has on the disk."""
        text = self.machine.read(CONF)
        return Database(**json.loads(text)) if text else Database()

    def _save(self, database: Database) -> None:
        self.machine.have(CONF, json.dumps(vars(database)))

    @property
    def is_connected(self) -> bool:
        """Whether ovn-controller reaches the southbound database."""
        paths = dict(re.findall(r"--ovn-controller-ssl-(\S+?)=(\S+)", self.machine.read(DROP_IN) or ""))
        files = all(self.machine.read(path) for path in paths.values())
        return (
            self.machine.serves(CONTROLLER)
            and bool(paths)
            and files
            and "ovn-remote" in self.database.external_ids
        )

    @property
    def is_reached(self) -> bool:
        """Whether the machine has its address where its packets go."""
        return self.place_of_address == "eth0" or (not self.cut_off and self.place_of_address != "")

    @property
    def place_of_address(self) -> str:
        """Where networkd gives the machine's address: its interface, or the bridge that this is in."""
        inside = {port: name for name, bridge in self.database.bridges.items() for port in bridge["ports"]}
        bridge = inside.get("eth0", "")
        is_port = self.machine.exists(f"/etc/systemd/network/05-openinfra-{bridge}-port.network")
        if is_port:
            text = self.machine.read(f"/etc/systemd/network/05-openinfra-{bridge}.network") or ""
            return bridge if "DHCP=ipv4" in text else ""
        datapath = self.database.bridges.get(bridge, {}).get("columns", {}).get("datapath_type")
        return "eth0" if not bridge or datapath == "netdev" else ""

    # Its programs

    def _ip(self, argv: tuple[str, ...], _stdin: str | None) -> str:
        if argv[1] == "netns":
            return self._netns(*argv[2:])
        if "-netns" in argv:
            names = ["lo", "tap0a1b2c3d-41"] if argv[3] in self.proxies else []
            return json.dumps([{"ifname": name} for name in names])
        if argv[1:4] == ("link", "set", "dev"):
            next(nic for nic in self.nics if nic.name == argv[4]).is_up = argv[5] == "up"
            self.machine.log.append(" ".join(argv))
            return ""
        if "route" in argv:
            return json.dumps(
                [{"dst": "default", "gateway": GATEWAY, "dev": argv[-1]}] if argv[-1] == "eth0" else []
            )
        shown: list[dict[str, Any]] = [{"ifname": "lo", "flags": ["LOOPBACK"], "mtu": 65536, "addr_info": []}]
        place = self.place_of_address
        for nic in self.nics:
            address, _, prefix = nic.address.partition("/")
            given = (
                [{"local": address, "prefixlen": int(prefix), "scope": "global"}]
                if address and place == "eth0"
                else []
            )
            shown.append(
                {
                    "ifname": nic.name,
                    "flags": ["UP"] if nic.is_up else [],
                    "mtu": nic.mtu,
                    "address": nic.mac,
                    "addr_info": given,
                    "linkinfo": {"info_kind": "veth"},
                }
            )
        for name, bridge in self.database.bridges.items():
            mac = bridge["columns"].get("hwaddr", "")
            shown.append(
                {
                    "ifname": name,
                    "flags": ["UP"],
                    "mtu": 1500,
                    "address": mac,
                    "addr_info": [],
                    "linkinfo": {"info_kind": "openvswitch"},
                }
            )
        return json.dumps(shown)

    def _netns(self, verb: str, name: str) -> str:
        """Play `ip netns`: whoever runs in a namespace is shown, and it can be taken away when nobody does."""
        if verb == "pids":
            return f"{self.proxies[name]}\n" if self.proxies.get(name) else ""
        assert verb == "delete"
        assert not self.proxies.pop(name), "its HAProxy serves on"
        self.machine.lose(f"/run/netns/{name}")
        self.machine.log.append(f"delete {name}")
        return ""

    def _kill(self, argv: tuple[str, ...], _stdin: str | None) -> str:
        for name, number in self.proxies.items():
            if number in argv:
                self.proxies[name] = ""
        return ""

    def _ping(self, argv: tuple[str, ...], _stdin: str | None) -> Result:
        able = self.is_reached and not (self.small and "-s" in argv)
        return Result(code=0 if able else 1, stdout="", stderr="")

    def _modprobe(self, _argv: tuple[str, ...], _stdin: str | None) -> Result:
        if self.has_module:
            self.machine.have("/sys/module/openvswitch/refcnt", "0\n")
        return Result(code=0 if self.has_module else 1, stdout="", stderr="")

    def _networkctl(self, argv: tuple[str, ...]) -> str | None:
        if argv[1] in {"reload", "reconfigure"}:
            self.machine.log.append(" ".join(argv))
        return json.dumps({"Name": argv[-1], "NetworkFile": SOURCE}) if "status" in argv else None

    def _appctl(self, argv: tuple[str, ...], stdin: str | None) -> Result | str | None:
        if "ovn-controller" not in argv and self._others:
            return self._others(argv, stdin)
        if not self.machine.serves(CONTROLLER):
            return Result(code=1, stdout="", stderr="ovn-appctl: cannot connect")
        assert argv[-1] == "connection-status"
        return "connected\n" if self.is_connected else "not connected\n"

    def _vsctl(self, argv: tuple[str, ...], _stdin: str | None) -> Result | str:
        if not self.machine.serves("ovsdb-server.service"):
            return Result(
                code=1,
                stdout="",
                stderr="ovs-vsctl: unix:/var/run/openvswitch/db.sock: database connection failed",
            )
        commands: list[list[str]] = [[]]
        for word in argv[1:]:
            if word == "--":
                commands.append([])
            elif not word.startswith(("--timeout", "--format", "--no-wait", "--may-exist", "--if-exists")):
                commands[-1].append(word)
        database = self.database
        before, shown = json.dumps(vars(database)), ""
        for command in commands:
            shown += self._command(database, command)
        if json.dumps(vars(database)) != before:
            self.machine.log.append(f"ovs-vsctl {' '.join(argv[2:])}")
            self._save(database)
        return shown

    def _command(self, database: Database, words: list[str]) -> str:
        """Carry one command of ovs-vsctl out; return what it prints."""
        verb, *rest = words
        if verb == "list":
            return f"{json.dumps(_table(database, rest[0]))}\n"
        if verb == "set":
            self._set(database, *rest)
            return ""
        match verb:
            case "remove" if rest[0] == "Open_vSwitch":
                getattr(database, rest[2]).pop(rest[3], None)
            case "add-br":
                database.bridges.setdefault(rest[0], {"columns": {}, "ports": {}})
            case "add-port":
                database.bridges[rest[0]]["ports"].setdefault(rest[1], "")
            case "del-port":
                database.bridges.get(rest[0], {"ports": {}})["ports"].pop(rest[1], None)
            case "get":
                return "[]\n"
            case "del-br":
                database.bridges.pop(rest[0], None)
            case _:
                raise AssertionError(words)
        return ""

    @staticmethod
    def _set(database: Database, table: str, record: str, *words: str) -> None:
        pairs = [word.partition("=") for word in words]
        if table == "Open_vSwitch":
            for name, _, value in pairs:
                column, _, key = name.partition(":")
                getattr(database, column)[key] = json.loads(value)
        elif table == "Interface" and pairs[0][0] == "mtu_request":
            database.bridges[record]["columns"]["mtu"] = pairs[0][2]
        elif table == "Bridge":
            known = {"external_ids:openinfra": "owner", "other_config:hwaddr": "hwaddr"}
            columns = database.bridges[record]["columns"]
            columns |= {known.get(name, name): value.strip('"') for name, _, value in pairs}
        elif table == "Port":
            for bridge in database.bridges.values():
                if record in bridge["ports"]:
                    bridge["ports"][record] = pairs[0][2]


def _table(database: Database, name: str) -> dict[str, Any]:
    """Return a table as ovs-vsctl prints it in JSON."""

    def pairs(values: dict[str, str]) -> list[Any]:
        return ["map", sorted(values.items())]

    ports = [
        (f"port-{port}", port, owner)
        for bridge in database.bridges.values()
        for port, owner in bridge["ports"].items()
    ]
    ports += [(f"port-{name}", name, "") for name in database.bridges]
    match name:
        case "Open_vSwitch":
            return {
                "headings": ["external_ids", "other_config"],
                "data": [[pairs(database.external_ids), pairs(database.other_config)]],
            }
        case "Bridge":
            rows: list[list[Any]] = []
            for bridge, content in database.bridges.items():
                columns = content["columns"]
                ids = {"openinfra": columns["owner"]} if columns.get("owner") else {}
                inside: list[Any] = [["uuid", f"port-{port}"] for port in [bridge, *content["ports"]]]
                own = {"hwaddr": columns["hwaddr"]} if columns.get("hwaddr") else {}
                listed = inside[0] if len(inside) == 1 else ["set", inside]
                rows.append([bridge, columns.get("datapath_type", ""), pairs(ids), pairs(own), listed])
            return {
                "headings": ["name", "datapath_type", "external_ids", "other_config", "ports"],
                "data": rows,
            }
        case "Interface":
            own = [[name, 1500, pairs({})] for name in database.bridges]
            guests = [[name, mtu, pairs({"iface-id": name})] for name, mtu in database.guests.items()]
            return {"headings": ["name", "mtu", "external_ids"], "data": [*own, *guests]}
        case _:
            data = [
                [["uuid", one], port, pairs({"openinfra": owner} if owner else {})]
                for one, port, owner in ports
            ]
            return {"headings": ["_uuid", "name", "external_ids"], "data": data}
