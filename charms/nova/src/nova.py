"""Nova on one machine: its programs beyond what all OpenStack services have. Everything here works without Juju."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from openinfra_charm.machine import CommandError
from openinfra_charm.model import options
from openinfra_charm.model.actions import failing_on
from openinfra_charm.model.status import NotYetError
from openinfra_charm.openstack import oslo
from openinfra_charm.openstack.needs import Database
from openinfra_charm.openstack.programs import last_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.machine import Machine
    from openinfra_charm.model.cluster import Cluster
    from openinfra_charm.openstack.needs import Trust
    from openinfra_charm.openstack.workload import Workload

CONSOLE, CONSOLE_PORT = "console", 16080
"""The proxy of the servers' consoles, and where it listens."""
CELL0 = "mysql+pymysql:///?read_default_file={etc}/cell0.cnf&charset=utf8mb4"
"""How Nova finds the database of cell0: the user and its password are in the file."""
SECONDS = 50
"""How long a hook waits for a program that asks the cloud's APIs."""


class Cell0(Database):
    """The database of cell0, which has what no host has taken: an option file for PyMySQL in place of a section of Nova's."""

    def sections(self, found: Any, trust: Trust) -> Mapping[str, Mapping[str, object]]:
        """Return the file's section."""
        host, _, port = found.endpoints[0].rpartition(":")
        ca_path = trust.keep("cell0-database", [found.ca])
        return {
            "client": {
                "host": host.strip("[]"),
                "port": port,
                "database": found.database,
                "user": found.username,
                "password": found.password,
                "connect-timeout": oslo.CONNECT_SECONDS,
                **({"ssl-ca": ca_path} if ca_path else {}),
            }
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The charm's own options, checked: what a project may have as long as nobody says otherwise for it. `ram` is in MiB."""

    instances: int
    cores: int
    ram: int
    key_pairs: int
    server_groups: int
    server_group_members: int

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Settings:
        """Check the options.

        Raises:
            ConfigError: One has a value that cannot be used.
        """
        size = found["quota-ram"]
        ram = -1 if size == "-1" else options.size(found, "quota-ram", "1M", "50G") >> 20
        return cls(
            instances=options.whole(found, "quota-instances", -1),
            cores=options.whole(found, "quota-cores", -1),
            ram=ram,
            key_pairs=options.whole(found, "quota-key-pairs", -1),
            server_groups=options.whole(found, "quota-server-groups", -1),
            server_group_members=options.whole(found, "quota-server-group-members", -1),
        )


class Nova:
    """Nova's own programs."""

    CELL0_DATABASE: ClassVar = Cell0(name="cell0_database", endpoint="cell0-database", suffix="_cell0")

    def __init__(self, machine: Machine, workload: Workload) -> None:
        self._machine = machine
        self._workload = workload

    @property
    def brokers(self) -> int:
        """How many brokers the configuration names."""
        config = self._machine.read(self._workload.config_path) or ""
        return config.partition("\ntransport_url = ")[2].partition("\n")[0].count("@")

    def keep_cells(self, cluster: Cluster) -> None:
        """As the leader, have what Nova knows of its cell follow the number of brokers; it is read with each broker's place.

        Raises:
            NotYetError: That cannot be done now.
        """
        brokers = self.brokers
        if cluster.shared.get("brokers") != brokers:
            self._try(
                "what is known of the cells cannot be changed",
                "cells.py",
                CELL0.format(etc=self._workload.etc),
            )
            cluster.publish_shared(brokers=brokers)

    def discover(self) -> None:
        """Have the scheduler know hosts that are new.

        Raises:
            NotYetError: That cannot be done now.
        """
        words = (
            "nova-manage",
            f"--config-file={self._workload.config_path}",
            "cell_v2",
            "discover_hosts",
            "--by-service",
        )
        try:
            self._workload.programs.run(*words, seconds=SECONDS)
        except (CommandError, TimeoutError) as error:
            raise NotYetError(f"hosts cannot be made known: {last_line(error)}") from error

    def ask(self, verb: str, **values: Any) -> Any:
        """Do something by the cloud's APIs, as Nova's own user (`files/programs/ask_hosts.py`); return what it answers.

        Raises:
            NotYetError: It cannot be done now.
        """
        return json.loads(self._try(f"{verb} cannot be done", "ask_hosts.py", verb, json.dumps(values)))

    def look(self, verb: str, **values: Any) -> Any:
        """Look something up for an operator, as `ask` does.

        Raises:
            ActionError: It cannot be.
        """
        with failing_on(NotYetError):
            return self.ask(verb, **values)

    def count_deleted(self, before: str) -> int:
        """Return how many servers were deleted before a time.

        Raises:
            ActionError: The databases do not say.
        """
        with failing_on(NotYetError):
            return int(self._try("nothing can be counted", "deleted.py", before))

    def missing_samples(self, wanted: str) -> list[str]:
        """Return which of the samples (`actions/samples.py`) are not there.

        Raises:
            ActionError: The cloud's APIs do not say.
        """
        with failing_on(NotYetError):
            return json.loads(self._try("samples cannot be looked for", "samples.py", "missing", wanted))

    def _try(self, words: str, name: str, *arguments: str) -> str:
        workload = self._workload
        path = f"{workload.api.modules}/programs/{name}"
        try:
            return workload.programs.run("python", path, workload.config_path, *arguments, seconds=SECONDS)
        except (CommandError, TimeoutError) as error:
            raise NotYetError(f"{words}: {last_line(error)}") from error
