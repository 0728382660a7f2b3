"""Nova on one machine: its programs beyond what all OpenStack services have. Everything here works without Juju."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import CommandError
from openinfra_charm.model import options
from openinfra_charm.model.actions import failing_on
from openinfra_charm.model.status import NotYetError
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
_CELL0_CA = "cell0-database"
SECONDS = 50
"""How long a hook waits for a program that asks the cloud's APIs."""


@dataclass(frozen=True, kw_only=True)
class Cell0(Database):
    """The database of cell0, which has what no host has taken. How to reach it is in a file of options for PyMySQL."""

    name: str = "cell0_database"
    endpoint: str = "cell0-database"
    suffix: str = "_cell0"
    file_names: tuple[str, ...] = ("cell0.cnf",)

    def value(self, found: Any, trust: Trust) -> str:
        """Return what it is called; its CA is kept where the file says."""
        trust.keep(_CELL0_CA, [found.ca])
        return found.database

    def files(self, found: Any, etc: str) -> Mapping[str, str]:
        """Return the file."""
        host, _, port = found.endpoints[0].rpartition(":")
        options = {
            "host": host.strip("[]"),
            "port": port,
            "user": found.username,
            "password": found.password,
            **({"ssl-ca": f"{etc}/{_CELL0_CA}-ca.pem"} if found.ca else {}),
        }
        lines = (f"{key} = {value}\n" for key, value in options.items())
        return {"cell0.cnf": "".join(["[client]\n", *lines])}

    def at_start(self, name: str, content: str) -> str:
        """Return nothing: it is read for each connection."""
        del name, content
        return ""


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

    def __init__(self, machine: Machine, workload: Workload) -> None:
        self._machine = machine
        self._workload = workload

    @property
    def places(self) -> list[str]:
        """The places of brokers and databases in the configuration."""
        config = self._machine.read(self._workload.config_path) or ""
        return re.findall(r"@([^@,/\s]+)(?=[,/])", config)

    def keep_cells(self, cluster: Cluster) -> None:
        """As the leader, have what Nova knows of its cell follow the places of brokers and database, which it has in its own tables.

        Raises:
            NotYetError: That cannot be done now.
        """
        places = self.places
        if cluster.shared.get("places") != places:
            self._try("what is known of the cells cannot be changed", "cells.py")
            cluster.publish_shared(places=places)

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
