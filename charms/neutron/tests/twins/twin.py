"""A software twin of Neutron: its programs and its processes on one machine, as far as its charm meets them.

Played: that `neutron-db-manage` finds a database, and that of the other programs each finds the tables and how OVN's databases are reached,
before it does anything; what differs between both (`differences`), and that a repair ends it. `agents` are those of the chassis, by host, and
whether they are alive; `options` those of the northbound database.

Left out: networks themselves, and what OVN makes of them.
"""

from __future__ import annotations

import configparser
import json
import re
from typing import TYPE_CHECKING

from openinfra_charm.machine import Result
from openinfra_charm.testing.openstack import Api

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine

PORT = 19696
HEADS, EXPAND, CONTRACT = "heads", "--expand", "--contract"
PROCESSES = ("periodic", "ovn-maintenance")


class Neutron(Api):
    """Neutron on one machine; `done` is what was done in the databases."""

    differences: list[str]
    agents: dict[str, bool]
    options: dict[str, str]

    def __init__(self, machine: MemoryMachine, done: list[str], application: str = "neutron") -> None:
        super().__init__(machine, application, port=PORT, done=done)
        self.differences = []
        self.agents = {}
        self.options = {}
        self._clients = machine.handlers.get("ovsdb-client")
        """Who plays that program where the databases themselves are."""
        self.programs = {**self.programs, "ovsdb-client": self._transact}
        self.units = {self.unit, *(f"{application}-{name}.service" for name in PROCESSES)}

    def ran(self, program: str, *arguments: str) -> Result | None:
        """Play `neutron-db-manage --config-file=... upgrade WHAT`, and the charm's own programs."""
        if program == "neutron-db-manage":
            option, verb, what = arguments
            assert verb == "upgrade"
            if not self._config(option.removeprefix("--config-file=")).has_option("database", "connection"):
                return Result(code=1, stdout="", stderr="CliError: Need --database_connection")
            self.done.append(what)
            return None
        if program == "openinfra_agents.py":
            return self._see_to_agents(*arguments[2:])
        assert program == "openinfra_ovn.py"
        path, verb = arguments
        if not self._leads_everywhere(path):
            return Result(code=1, stdout="", stderr="RuntimeError: no connection")
        found = list(self.differences)
        if verb == "repair":
            self.done.append("repair")
            self.differences.clear()
        return Result(code=0, stdout=json.dumps(found), stderr="")

    def can_run(self, unit: str) -> bool:
        """Return whether a process finds what it needs to start."""
        if unit not in self.units:
            return True
        text = self.machine.read(f"/etc/systemd/system/{unit}") or ""
        found = re.search(r"^Environment=OS_NEUTRON_CONFIG_DIR=(.+)$", text, re.MULTILINE)
        path = f"{found[1]}/neutron.conf" if found else re.search(r"--config-file=(\S+)", text)[1]  # type: ignore[index]
        return self._leads_everywhere(path)

    def _transact(self, argv: tuple[str, ...], stdin: str | None) -> Result | str | None:
        """Play a transaction in the northbound database, in which nothing but its options is written."""
        if self._clients and "transact" not in argv:
            return self._clients(argv, stdin)
        database, operation = json.loads(argv[-1])
        assert (database, operation["table"]) == ("OVN_Northbound", "NB_Global")
        self.options |= dict(operation["mutations"][1][2][1])
        return '[{"count": 1}]'

    def _see_to_agents(self, verb: str, *hosts: str) -> Result:
        if verb == "delete":
            for host in hosts:
                del self.agents[host]
        agents = [
            {"host": host, "alive": alive, "kind": "OVN Controller agent"}
            for host, alive in self.agents.items()
        ]
        return Result(code=0, stdout=json.dumps(agents), stderr="")

    def _leads_everywhere(self, path: str) -> bool:
        config = self._config(path)
        keys = (config.get("ovn", f"ovn_{database}_private_key", fallback="") for database in ("nb", "sb"))
        return (
            HEADS in self.done
            and config.has_option("database", "connection")
            and all(key and self.machine.exists(key) for key in keys)
        )

    def _config(self, path: str) -> configparser.RawConfigParser:
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(self.machine.read(path) or "")
        return parser
