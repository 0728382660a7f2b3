"""A software twin of Cinder: its programs and its processes on one machine, as far as its charm meets them.

Played: what `cinder-manage` does, in which order it can; that processes end at once where their configuration leads to no database, no
locks, no broker or no Ceph user, or the database has no tables; which services are on record, and that those are down whose process does
not run.

Left out: volumes, and that a service counts as up for a minute after it has stopped.
"""

from __future__ import annotations

import configparser
import json
from typing import TYPE_CHECKING

from openinfra_charm.machine import Result
from openinfra_charm.testing.openstack import Api

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_charm.testing import MemoryMachine

PORT = 18776
SYNC, MIGRATE_DATA = "sync", "online_data_migrations"
PROCESSES = {"scheduler": "", "volume": "@ceph", "backup": ""}
"""Each with what its host's name ends with."""
NEEDED = (
    ("DEFAULT", "transport_url"), ("DEFAULT", "host"), ("database", "connection"),
    ("coordination", "backend_url"), ("ceph", "rbd_user"),
)  # fmt: skip


class Cinder(Api):
    """Cinder on one machine; `done` are the commands that were done in the database."""

    def __init__(self, machine: MemoryMachine, done: list[str], application: str = "cinder") -> None:
        super().__init__(machine, application, port=PORT, done=done)
        self.host = ""
        """What its services are called; empty before one has reported."""
        self.reported: set[str] = set()
        self.units: list[Cinder] = [self]

    def listen(self, address: str, others: Iterable[Api]) -> None:
        """Have the front reached, and share a database with the others."""
        others = list(others)
        super().listen(address, others)
        for one in others:
            if isinstance(one, Cinder):
                self.units.append(one)
                one.units.append(self)

    def ran(self, program: str, *arguments: str) -> Result | None:
        """Play `cinder-manage --config-file=... GROUP COMMAND`, and the charm's own program that asks the API."""
        if program == "openinfra_cinder.py":
            return self._ask(*arguments[2:])
        option, group, command, *more = arguments
        assert program == "cinder-manage"
        if not self._configured(option.removeprefix("--config-file=")):
            return Result(
                code=1, stdout="", stderr="value required for option connection in group [database]"
            )
        if (group, command) == ("service", "remove"):
            binary, host = more
            if (binary, host) not in self._rows():
                return Result(code=2, stdout="Host not found.", stderr="")
        elif command != SYNC and SYNC not in self.done:
            return Result(
                code=2, stdout="Some migrations failed unexpectedly. Check log for details.", stderr=""
            )
        self.done.append(" ".join([command, *more] if group == "db" else [group, command, *more]))
        return None

    def _rows(self) -> dict[tuple[str, str], bool]:
        """Return the services on record, and whether each runs."""
        rows = {
            (f"cinder-{name}", f"{one.host}{PROCESSES[name]}"): one.machine.powered
            and one.machine.serves(f"{one.application}-{name}.service")
            for one in self.units
            for name in one.reported
        }
        return {
            key: up for key, up in rows.items() if up or f"service remove {key[0]} {key[1]}" not in self.done
        }

    def _ask(self, socket: str, path: str = "", *more: str) -> Result | None:
        # The program of Cinder's own has a verb, and what it is about.
        if socket not in {"services", "clean", "make-type"}:
            return super()._ask(socket, path)
        verb, given = socket, (path, *more)
        if not self.serves:
            return Result(code=1, stdout="", stderr="[Errno 111] Connection refused")
        if verb == "services":
            rows = [
                {"binary": binary, "host": host, "state": "up" if up else "down"}
                for (binary, host), up in self._rows().items()
            ]
            return Result(code=0, stdout=json.dumps(rows), stderr="")
        self.done.append(f"{verb} {given[0]}")
        return Result(code=0, stdout=json.dumps({"id": "1"} if verb == "make-type" else None), stderr="")

    def can_run(self, unit: str) -> bool:
        """Return whether a process finds what it needs to start."""
        name = unit.removeprefix(f"{self.application}-").removesuffix(".service")
        if unit != self.unit and name not in PROCESSES:
            return True
        config = self._configured(f"/etc/{self.application}/cinder.conf")
        if config is None or SYNC not in self.done:
            return False
        if name == "backup" and not config.has_option("DEFAULT", "backup_s3_endpoint_url"):
            return False
        if name in PROCESSES:
            self.host = config["DEFAULT"]["host"]
            self.reported.add(name)
        return True

    def _configured(self, path: str) -> configparser.RawConfigParser | None:
        parser = configparser.RawConfigParser(strict=False, default_section="")
        parser.read_string(self.machine.read(path) or "")
        return parser if all(parser.has_option(*one) for one in NEEDED) else None
