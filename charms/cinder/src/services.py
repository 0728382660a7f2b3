"""What Cinder has on record of the services of its units: those of a unit that is gone are removed, and their work is finished by others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from openinfra_charm.openstack.programs import Programs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from openinfra_charm.daemon.job import Jobs
    from openinfra_charm.machine import Machine
    from openinfra_charm.model.cluster import Cluster

REMOVE = "jobs.remove_services"
ASK_SECONDS = 20


def host_of(unit: str) -> str:
    """Return what Cinder calls the services of a unit: `cinder-0`."""
    return unit.replace("/", "-")


class Client:
    """Cinder's API of this machine, asked as its own user, and the programs that change what it has on record."""

    def __init__(self, machine: Machine, application: str) -> None:
        self._programs = Programs(machine, application)
        self._modules = f"/usr/lib/openinfra/{application}"
        self._config = f"/etc/{application}/cinder.conf"
        self._socket = f"/run/{application}/api.sock"

    def services(self) -> list[dict[str, Any]]:
        """Return all services that have ever reported, by host and program.

        Raises:
            CommandError: The API does not answer, or refuses.
            TimeoutError: It takes too long.
        """
        return sorted(self._ask("services"), key=lambda one: (one["host"], one["binary"]))

    def clean(self, host: str) -> None:
        """Have others finish, or give up, what the services of a host have begun; those that report are left alone.

        Raises:
            CommandError: The API does not answer, or refuses.
            TimeoutError: It takes too long.
        """
        self._ask("clean", {"host": host})

    def make_type(self, **wanted: Any) -> dict[str, Any]:
        """Make a volume type.

        Raises:
            CommandError: The API does not answer, or refuses.
            TimeoutError: It takes too long.
        """
        return self._ask("make-type", wanted)

    def remove(self, host: str, binary: str) -> None:
        """Remove a service from what is on record.

        Raises:
            CommandError: It cannot be done.
            TimeoutError: It takes too long.
        """
        self._manage("service", "remove", binary, host)

    def bequeath(self, host: str, heir: str) -> None:
        """Give the backups of a host to another one, which gives up those that were under way when it starts next.

        Raises:
            CommandError: It cannot be done.
            TimeoutError: It takes too long.
        """
        self._manage("backup", "update_backup_host", "--currenthost", host, "--newhost", heir)

    def _manage(self, *words: str) -> None:
        self._programs.run("cinder-manage", f"--config-file={self._config}", *words)

    def _ask(self, verb: str, given: Any = ()) -> Any:
        words = (f"{self._modules}/openinfra_cinder.py", self._config, self._socket, verb)
        more = (json.dumps(given, sort_keys=True),) if given else ()
        return json.loads(self._programs.run("python", *words, *more, seconds=ASK_SECONDS).splitlines()[-1])


class Departures:
    """Removes, as the leader, the services of units that are gone from the model.

    Its record in the peer relation: `hosts`, the units whose services there are.

    Args:
        cluster: The peer relation.
        jobs: The jobs of this unit.
        unit: This unit.
    """

    def __init__(self, cluster: Cluster, jobs: Jobs, unit: str) -> None:
        self._cluster = cluster
        self._jobs = jobs
        self._unit = unit

    def follow(self) -> None:
        """As the leader, record who is there, and remove who is gone; a job does it, as services count as down after a minute only."""
        known: list[str] = self._cluster.shared.get("hosts", [])
        there = [*known, *(unit for unit in self._cluster.units if unit not in known)]
        left = [unit for unit in there if unit not in self._gone(there) or not self._is_removed(unit)]
        self._cluster.publish_shared(hosts=left)

    @property
    def waits(self) -> Iterator[str]:
        """Yield whose services are still to be removed, and how that stands."""
        for unit in self._gone(self._cluster.shared.get("hosts", [])):
            same = [
                one
                for one in self._jobs.all()
                if one.module == REMOVE and one.arguments["host"] == host_of(unit)
            ]
            yield f"the services of {unit} are being removed" + (
                f" ({same[-1].progress})" if same and same[-1].progress else ""
            )

    def _gone(self, units: Iterable[str]) -> list[str]:
        return self._cluster.gone(units)

    def _is_removed(self, unit: str) -> bool:
        job = self._jobs.once(REMOVE, host=host_of(unit), heir=host_of(self._unit))
        return job.state == "done"
