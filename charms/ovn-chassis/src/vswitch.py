"""The machine's Open vSwitch: its configuration is in a database of its own, which ovs-vsctl(8) reads and changes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.machine import Machine

MODULE = "/sys/module/openvswitch"
KERNEL, USERSPACE = "system", "netdev"
"""Who forwards packets, in Open vSwitch's words (datapath_type)."""
MINE = "openinfra"
"""The external id of bridges and ports that a charm has made: the application."""


class VSwitchError(Exception):
    """Open vSwitch does not do what it was asked for; the message says what and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bridge:
    """A bridge. `ports` are the names of what is in it, `owner` the application that has made it."""

    name: str
    datapath: str
    owner: str = ""
    mac: str = ""
    ports: Mapping[str, str] = field(default_factory=dict[str, str])
    """Each with the application that has put it there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """What is configured now."""

    external_ids: Mapping[str, str]
    other_config: Mapping[str, str]
    bridges: Mapping[str, Bridge]


class VSwitch:
    """The machine's Open vSwitch, as one application uses it."""

    def __init__(self, machine: Machine, application: str) -> None:
        self._machine = machine
        self._application = application

    def has_module(self, *, load: bool = True) -> bool:
        """Return whether the kernel has Open vSwitch's module; with `load` it is loaded if it can be."""
        if load and not self._machine.exists(MODULE):
            self._machine.run("modprobe", "openvswitch", check=False)
        return self._machine.exists(MODULE)

    def read(self) -> Configuration:
        """Return what is configured.

        Raises:
            VSwitchError: Open vSwitch does not answer.
        """
        answer = self._run(
            "--format=json", "list", "Open_vSwitch", "--", "list", "Bridge", "--", "list", "Port"
        )  # fmt: skip
        switches, bridges, ports = (_rows(line) for line in answer.splitlines())
        by_id = {row["_uuid"]: row for row in ports}
        found = {row["name"]: _bridge(row, by_id) for row in bridges}
        switch = switches[0]
        return Configuration(
            external_ids=switch["external_ids"], other_config=switch["other_config"], bridges=found
        )

    def guests(self) -> dict[str, int]:
        """Return the interfaces that OVN has a port for, with the largest packet that each sends.

        Raises:
            VSwitchError: Open vSwitch does not answer.
        """
        rows = _rows(self._run("--format=json", "list", "Interface"))
        return {row["name"]: row["mtu"] for row in rows if "iface-id" in row["external_ids"] and row["mtu"]}

    def set_mtu(self, bridge: str, mtu: int) -> None:
        """Have a bridge's own interface send packets of this size.

        Raises:
            VSwitchError: Open vSwitch does not answer.
        """
        self._run("set", "Interface", bridge, f"mtu_request={mtu}")

    def set_options(self, column: str, wanted: Mapping[str, str | None], now: Mapping[str, str]) -> bool:
        """Bring keys of a column of the switch to their values, None for none; return whether something changed.

        Raises:
            VSwitchError: Open vSwitch does not answer.
        """
        argv: list[str] = []
        for key, value in wanted.items():
            if value is None and key in now:
                argv += ["--", "remove", "Open_vSwitch", ".", column, key]
            elif value is not None and now.get(key) != value:
                argv += ["--", "set", "Open_vSwitch", ".", f"{column}:{key}={_quoted(value)}"]
        if argv:
            self._run("--no-wait", *argv[1:])
        return bool(argv)

    def add_bridge(self, name: str, datapath: str, *, mac: str = "", port: str = "", mtu: int = 0) -> None:
        """Make a bridge of this application, with a port in it if one is named, all at once.

        Args:
            name: The bridge.
            datapath: Who forwards its packets.
            mac: Its own MAC address; empty: that of the port.
            port: An interface of the machine.
            mtu: The largest packet that its own interface sends; 0 leaves that to Open vSwitch.

        Raises:
            VSwitchError: Open vSwitch does not answer, or the port cannot be opened.
        """
        mine = f"external_ids:{MINE}={self._application}"
        hardware = [f"other_config:hwaddr={_quoted(mac)}"] if mac else []
        argv = [
            "--may-exist", "add-br", name, "--", "set", "Bridge", name, f"datapath_type={datapath}",
            "fail_mode=standalone", mine, *hardware,
        ]  # fmt: skip
        if mtu:
            argv += ["--", "set", "Interface", name, f"mtu_request={mtu}"]
        if port:
            argv += ["--", "--may-exist", "add-port", name, port, "--", "set", "Port", port, mine]
        self._run(*argv)
        if port and (why := self._run("--if-exists", "get", "Interface", port, "error").strip()) not in {
            "",
            "[]",
        }:
            raise VSwitchError(f"Open vSwitch: {port} cannot be put into {name}: {why}")

    def remove_port(self, bridge: str, port: str) -> None:
        """Take an interface out of a bridge."""
        self._run("--if-exists", "del-port", bridge, port)

    def remove_bridge(self, name: str) -> None:
        """Take a bridge away, with all that is in it."""
        self._run("--if-exists", "del-br", name)

    def _run(self, *words: str) -> str:
        answer = self._machine.run("ovs-vsctl", "--timeout=20", *words, check=False)
        if answer.code:
            why = " ".join((answer.stderr or answer.stdout).split())
            raise VSwitchError(f"Open vSwitch: {why or f'exit code {answer.code}'}")
        return answer.stdout


def _quoted(value: str) -> str:
    """Return a value as ovs-vsctl takes it whatever is in it."""
    return json.dumps(value)


def _bridge(row: dict[str, Any], ports: dict[str, dict[str, Any]]) -> Bridge:
    # A set of one is shown as that one.
    listed = [row["ports"]] if isinstance(row["ports"], str) else row["ports"]
    inside = [ports[one] for one in listed if one in ports]
    return Bridge(
        name=row["name"],
        datapath=row["datapath_type"] or "system",
        owner=row["external_ids"].get(MINE, ""),
        mac=row["other_config"].get("hwaddr", ""),
        ports={
            port["name"]: port["external_ids"].get(MINE, "") for port in inside if port["name"] != row["name"]
        },
    )


def _rows(line: str) -> list[dict[str, Any]]:
    """Return a table that ovs-vsctl printed as JSON, with OVSDB's values as Python's (RFC 7047, section 5.1)."""
    table = json.loads(line)
    return [dict(zip(table["headings"], map(_value, row), strict=True)) for row in table["data"]]


def _value(value: Any) -> Any:
    match value:
        case ["map", pairs]:
            return dict(pairs)
        case ["set", members]:
            return [_value(member) for member in members]
        case ["uuid", text]:
            return text
        case _:
            return value
