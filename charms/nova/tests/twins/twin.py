"""A software twin of Nova: its programs and processes on one machine, as far as its charm meets them.

Played: what `nova-manage` and the charm's own programs do, in which order they can: cells are in the API's database, and what is in a cell's
database is made when Nova knows the cell; that a process ends at once where its configuration does not lead to the databases, or these have
no tables, since it writes its service there whenever it starts; the two APIs on their sockets; hosts, as services of which one may be alive.

Left out: all that clients store there.
"""

from __future__ import annotations

import configparser
import json
import re
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import Answer, Result
from openinfra_charm.testing.openstack import Api

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine, Request

PORT = 18774
API_SYNC, CELLS, SYNC, MIGRATE_DATA = "api_db sync", "cells", "db sync", "db online_data_migrations"
DISCOVER = "cell_v2 discover_hosts"
PROCESSES = ("conductor", "scheduler", "console", "metadata", "metadata-front")
SECTIONS = ("database", "api_database", "cell0_database")
SERVER = {"id": "5f0c", "name": "web", "status": "ACTIVE", "task": ""}


class Nova(Api):
    """Nova on one machine; `done` are the commands that were done in the databases.

    If a test has it so: `alive` are hosts whose nova-compute is alive, `servers` those on a host that is dead, and `problems` what cannot be done
    of zones.
    """

    def __init__(self, machine: MemoryMachine, done: list[str], application: str = "nova") -> None:
        super().__init__(machine, application, port=PORT, done=done)
        self.alive: set[str] = set()
        self.servers: dict[str, list[dict[str, str]]] = {}
        self.problems: list[str] = []
        self.metadata = f"{application}-metadata.service"
        self.sockets = {**self.sockets, f"/run/{application}/metadata.sock": self._answer_metadata}

    def _answer_metadata(self, request: Request) -> Answer:
        if not (self.machine.powered and self.machine.serves(self.metadata)):
            raise ConnectionRefusedError(self.metadata)
        return self.answer(request)

    def ran(self, program: str, *arguments: str) -> Result | None:
        """Play a program of the release, or of the charm's own."""
        if program in {"cells.py", "ask_hosts.py", "preflight.py", "samples.py"}:
            config, *words = arguments
        else:
            assert program == "nova-manage"
            config, words = arguments[0].removeprefix("--config-file="), list(arguments[1:])
        if not self._leads_to_databases(config):
            return Result(
                code=1, stdout="", stderr="CantStartEngineError: No sql_connection parameter is established"
            )
        if program == "ask_hosts.py":
            return Result(
                code=0, stdout=json.dumps(self._of_hosts(words[0], **json.loads(words[1]))), stderr=""
            )
        if program == "samples.py":
            self.done.append(f"samples {words[0]}")
            return Result(code=0, stdout=json.dumps(["flavor small"]), stderr="")
        what = {"cells.py": CELLS, "preflight.py": "preflight"}.get(program) or " ".join(words[:2])
        needs = {CELLS: API_SYNC, SYNC: CELLS, MIGRATE_DATA: SYNC, DISCOVER: SYNC}
        if what in needs and needs[what] not in self.done:
            return Result(code=1, stdout="", stderr=f"ProgrammingError: {what} comes after {needs[what]}")
        self.done.append(what)
        return None

    def _of_hosts(self, verb: str, **values: Any) -> Any:
        match verb:
            case "zones":
                self.done.append(f"zones {json.dumps(values['hosts'], sort_keys=True)}")
                return self.problems
            case "remove":
                host = values["host"]
                if host in self.alive:
                    return "nova-compute is alive there"
                self.done.append(f"remove {host}")
                return ""
            case "servers":
                host = values["host"]
                state = "up" if host in self.alive else "down"
                return {"service": f"id-of-{host}", "state": state, "servers": self.servers.get(host, [])}
            case "evacuate":
                left = self.servers.get(values["host"], [])
                self.servers[values["host"]] = []
                self.done.append(f"evacuate {len(left)} servers")
                return left
            case _:
                self.done.append(f"{verb} {json.dumps(values, sort_keys=True)}")
                return ""

    def can_run(self, unit: str) -> bool:
        """Return whether a process finds what it needs to start."""
        own = {
            f"{self.application}-{name}.service"
            for name in ("api", "metadata", "conductor", "scheduler", "console")
        }
        if unit not in own:
            return True
        text = self.machine.read(f"/etc/systemd/system/{unit}") or ""
        found = re.search(r"(?:OS_NOVA_CONFIG_DIR|--config-file)=(\S+)", text)
        path = found[1] if found else ""
        config = path if path.endswith(".conf") else f"{path}/nova.conf"
        return self._leads_to_databases(config) and SYNC in self.done

    def _leads_to_databases(self, path: str) -> bool:
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(self.machine.read(path) or "")
        return all(parser.has_option(section, "connection") for section in SECTIONS)
