"""OVN's databases and northd on one machine: packages, configuration, daemons. Everything here works without Juju.

A database's server is started with the packaged unit, but by a command line of its own: `ovn-ctl`, which that runs, founds a cluster
when it finds no file. Where a server listens is in a configuration file, so that each listens on addresses of its own machine only;
what is in the database holds for all members.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_charm.daemon import registry, render, tls
from openinfra_charm.daemon.registry import Footprint
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.daemon.tls import Certificate
from openinfra_charm.machine import program
from openinfra_charm.values import bracketed
from raft import DATABASES, FOLDER, NORTHBOUND, RUN, SOUTHBOUND, DatabaseError, Raft, majority

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_charm.machine import Machine
    from raft import Database
    from state import State

HERE = Path(__file__).parent
DAEMON = "ovn-central"
PACKAGES = ("ovn-central", *tls.PACKAGES)
UMBRELLA = "ovn-central.service"
"""What starts the others with the machine: their own units cannot be enabled."""
NORTHD = "ovn-northd.service"
NORTHBOUND_PORT = 6641
CHASSIS_PORT, SOUTHBOUND_PORT = 6642, 16642
"""Clients of the southbound database: chassis, which may write no more than the role lets them, and those that may write all."""
CHASSIS_ROLE = "ovn-controller"
NORTHD_PROBE = "northd_probe_interval"


class OvnCentral:
    """The databases and the northd of this machine, as one application keeps them."""

    def __init__(self, machine: Machine, application: str) -> None:
        self.machine = machine
        self.application = application
        self.services = Services(machine, application)
        self.rafts = tuple(Raft(machine, database) for database in DATABASES)
        self.programs = {
            UMBRELLA: "what starts OVN",
            **{one.unit: f"the server of the {one.title} database" for one in DATABASES},
            NORTHD: "ovn-northd",
        }
        # Its daemons read a new certificate together with the key, and both only when the key's file is another one.
        self.tls = Certificate(machine, application, key_goes_last=True)
        self._templates = render.Templates(machine, application, HERE / "templates")
        self._folder = f"/var/lib/openinfra/{application}"
        self._version = ""
        self._replaced: set[str] | None = None
        """The daemons whose programs newer packages have replaced, as far as this hook has looked."""

    @property
    def footprint(self) -> Footprint:
        """What this leaves on the machine where it is not removed."""
        drop_ins = (str(Path(_drop_in(unit)).parent) for unit in self._daemons)
        return Footprint(
            daemon=DAEMON,
            does="runs OVN's databases on this machine",
            paths=(*drop_ins, f"/etc/{self.application}"),
            data=(FOLDER,),
        )

    # Verbs

    def install(self) -> None:
        """Install the packages; nothing starts, not even with the machine: the packages enable what would found databases."""
        self._version = ""
        registry.install(self.machine, self.application, PACKAGES)
        if not self.was_started and self.machine.enabled_services(UMBRELLA):
            self.machine.stop_services(UMBRELLA)

    def version(self) -> str:
        """Return the installed version, such as `25.03.0`; empty before it is installed. A hook asks once."""
        self._version = self._version or registry.version(self.machine, "ovn-central")
        return self._version

    def render(self, state: State) -> None:
        """Write the configuration, and leave the checks for `host`."""
        listens = {
            NORTHBOUND: {f"pssl:{NORTHBOUND_PORT}:{bracketed(state.cms_address)}": {}},
            SOUTHBOUND: {
                f"pssl:{CHASSIS_PORT}:{bracketed(state.ovsdb_address)}": {"role": CHASSIS_ROLE},
                f"pssl:{SOUTHBOUND_PORT}:{bracketed(state.cms_address)}": {},
            },
        }
        files: list[File] = []
        for database, remotes in listens.items():
            files += self._server_files(database, state, remotes)
        northd_hosts = state.northd_hosts
        if northd_hosts is None and not self.machine.exists(_drop_in(NORTHD)):
            northd_hosts = (state.cluster_address,)
        if northd_hosts is not None:
            files.append(self._northd_file(northd_hosts))
        changed = render.write(self.machine, *files)
        if any(path.endswith(".conf") for path in changed):
            self.machine.reload_systemd()
        for kind in registry.CHECKS:
            check = program.command(HERE / "check.py", kind, self.application)
            registry.leave_check(self.machine, kind, self.application, *check)

    def _northd_file(self, hosts: Iterable[str]) -> File:
        remotes = {
            one.key: ",".join(f"ssl:{bracketed(host)}:{one.northd_port}" for host in hosts)
            for one in DATABASES
        }
        return self._templates.fill(
            "northd.service.j2", _drop_in(NORTHD), application=self.application, run=RUN, tls=self._tls_paths,
            remotes=remotes,
        )  # fmt: skip

    def _server_files(
        self, database: Database, state: State, remotes: dict[str, dict[str, str]]
    ) -> Iterable[File]:
        probe = {"inactivity-probe": state.settings.inactivity_probe}
        northd = f"pssl:{database.northd_port}:{bracketed(state.cluster_address)}"
        config = {
            "remotes": {
                f"punix:{RUN}/ovn{database.key}_db.sock": {},
                **{target: {**options, **probe} for target, options in remotes.items()},
                northd: {"inactivity-probe": state.settings.northd_probe},
            },
            "databases": {database.path: {}},
        }
        drop_in = self._templates.fill(
            "ovsdb-server.service.j2",
            _drop_in(database.unit),
            application=self.application,
            database=database,
            config=self._config_path(database),
            run=RUN,
            tls=self._tls_paths,
        )
        return drop_in, File(path=self._config_path(database), content=f"{json.dumps(config, indent=1)}\n")

    def apply(self) -> None:
        """Have the daemons run; those that run with an older configuration are left for `outdated`.

        Servers of the databases go by a new configuration at once, as far as that is possible without a restart.
        """
        if not self.was_started:
            self.machine.reload_systemd()
            states = self.machine.service_states(*self._daemons)
            if running := [unit for unit, state in states.items() if state != "inactive"]:
                # Somebody had them before the charm, with a configuration of his own.
                self.machine.stop_services(*running)
        started = self.services.ensure_running([self._service(unit) for unit in self.programs])
        for raft in self.rafts:
            if raft.database.unit in started:
                self._note_config(raft.database)
            elif self.machine.read(self._noted_path(raft.database)) != self._config(raft.database):
                raft.reload()
                self._note_config(raft.database)

    def outdated(self) -> bool:
        """Return whether some daemon runs with an older configuration or program and has to be restarted."""
        return bool(self._outdated())

    def restart(self) -> None:
        """Restart what is outdated."""
        outdated, self._replaced = self._outdated(), None
        for unit in outdated:
            self.services.restart(self._service(unit))
            for database in DATABASES:
                if database.unit == unit:
                    self._note_config(database)

    def _outdated(self) -> list[str]:
        older = {one.unit for one in self.services.outdated(self._service(unit) for unit in self.programs)}
        if self._replaced is None:
            self._replaced = self.machine.outdated_programs(*self.services.units)
        older |= self._replaced
        return [unit for unit in self.programs if unit in older]

    def stop(self) -> None:
        """Stop the daemons, and keep them stopped."""
        self.services.stop(*reversed(self.programs))

    @property
    def was_started(self) -> bool:
        """Whether the daemons have been started, be they well or not, and not stopped since."""
        return NORTHBOUND.unit in self.services.units

    @property
    def has_servers(self) -> bool:
        """Whether this machine has the files of servers."""
        return all(raft.exists for raft in self.rafts)

    def discard(self) -> None:
        """Delete the databases that are here; their servers have been stopped."""
        for raft in self.rafts:
            raft.discard()

    # How it is

    def is_ready(self) -> bool:
        """Return whether both databases serve here, and northd runs or stands by."""
        return self.why_not_ready() is None

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until it is so, but no longer than this; return whether it is."""
        return self.machine.wait_until(self.is_ready, seconds)

    def why_not_ready(self) -> str | None:
        """Return why this machine does not do its part; None if it does."""
        for raft in self.rafts:
            title, status = raft.database.title, raft.status()
            if status is None:
                return f"the server of the {title} database does not answer"
            if status.is_member and not status.serves:
                return f"the {title} database has no quorum: {status.reachable} of {len(status.servers)} members are connected"
            if not status.is_member:
                return f"the {title} database is not in its cluster: {status.state}"
        return None if self.northd_status() else "ovn-northd does not answer"

    def northd_status(self) -> str:
        """Return what northd says of itself: `active`, `standby`, `paused`; empty where it does not answer."""
        answer = self.machine.run("ovn-appctl", "-T", "10", "-t", "ovn-northd", "status", check=False)
        return answer.stdout.strip().removeprefix("Status: ") if answer.code == 0 else ""

    def bring_probe(self, milliseconds: int) -> None:
        """Have northd of all units ask the databases after so long a silence whether they are there; the database says so to them.

        Raises:
            DatabaseError: The northbound database does not take it.
        """
        option = f"options:{NORTHD_PROBE}"
        if self._nbctl("--if-exists", "get", "NB_Global", ".", option).strip('"') != f"{milliseconds}":
            self._nbctl("set", "NB_Global", ".", f"{option}={milliseconds}")

    def _nbctl(self, *words: str) -> str:
        argv = ("ovn-nbctl", "-t", "10", "--no-leader-only", f"--db={NORTHBOUND.socket}", *words)
        answer = self.machine.run(*argv, check=False)
        if answer.code:
            raise DatabaseError(f"the northbound database: {' '.join(answer.stderr.split())}")
        return answer.stdout.strip()

    def why_not_to_stop(self) -> str:
        """Return why the databases must not do without this machine's servers now; empty if they can."""
        for raft in self.rafts:
            title, status = raft.database.title, raft.status()
            if status is None or not status.serves:
                return f"the {title} database does not serve here: it must have a quorum first, see cluster-status"
            count, others = len(status.servers), status.reachable - 1
            # One is no cluster, and two cannot do without either: then it is for whoever stops one to know.
            needed = min(majority(count), count - 1)
            if count > 1 and others < needed:
                return (
                    f"the {title} database would lose its quorum: only {status.reachable} of {count} members are connected, "
                    "see cluster-status"
                )
        return ""

    # Files

    @property
    def _daemons(self) -> list[str]:
        return [unit for unit in self.programs if unit != UMBRELLA]

    def _service(self, unit: str) -> Service:
        return Service(unit=unit, inputs=(self.machine.read(_drop_in(unit)) or "",))

    @property
    def _tls_paths(self) -> dict[str, str]:
        return {"key": self.tls.key_path, "chain": self.tls.chain_path, "ca": self.tls.ca_path}

    def _config_path(self, database: Database) -> str:
        return f"/etc/{self.application}/{database.title}.json"

    def _config(self, database: Database) -> str | None:
        return self.machine.read(self._config_path(database))

    def _noted_path(self, database: Database) -> str:
        return f"{self._folder}/{database.title}.json"

    def _note_config(self, database: Database) -> None:
        """Remember what the server has just read."""
        self.machine.write(self._noted_path(database), self._config(database) or "")


def _drop_in(unit: str) -> str:
    return f"/etc/systemd/system/{unit}.d/openinfra.conf"
