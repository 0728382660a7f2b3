"""A software twin of Octavia: its programs and its processes on one machine, as far as its charm meets them.

Played: that each program finds a database, and that the processes find its tables and how OVN's databases are reached.

Left out: load balancers themselves, and what OVN makes of them.
"""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

from openinfra_charm.machine import Result
from openinfra_charm.testing.openstack import Api

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine

PORT = 19876
HEAD = "head"
SYNC = "octavia_sync.py"
PROCESSES = ("agent", "housekeeping")


class Octavia(Api):
    """Octavia on one machine; `done` is what was done in the databases."""

    def __init__(self, machine: MemoryMachine, done: list[str], application: str = "octavia") -> None:
        super().__init__(machine, application, port=PORT, done=done)
        self.units = {self.unit, *(f"{application}-{name}.service" for name in PROCESSES)}

    def ran(self, program: str, *arguments: str) -> Result | None:
        """Play `octavia-db-manage --config-file=... upgrade head`, and `octavia_sync.py --config-file=...`."""
        config = self._config(arguments[0].removeprefix("--config-file="))
        if not config.has_option("database", "connection"):
            return Result(code=1, stdout="", stderr="RuntimeError: no connection")
        if program == SYNC:
            self.done.append(SYNC)
            return None
        assert (program, arguments[1:]) == ("octavia-db-manage", ("upgrade", HEAD))
        self.done.append(HEAD)
        return None

    def can_run(self, unit: str) -> bool:
        """Return whether a process finds what it needs to start."""
        if unit not in self.units:
            return True
        text = self.machine.read(f"/etc/systemd/system/{unit}") or ""
        found = re.search(r"(?:OPENINFRA_CONFIG=|--config-file=)(\S+)", text)
        config = self._config(found[1] if found else "")
        keys = (config.get("ovn", f"ovn_{database}_private_key", fallback="") for database in ("nb", "sb"))
        return (
            HEAD in self.done
            and config.has_option("database", "connection")
            and all(key and self.machine.exists(key) for key in keys)
        )

    def _config(self, path: str) -> configparser.RawConfigParser:
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(self.machine.read(path) or "")
        return parser
