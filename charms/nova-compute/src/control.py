"""The host in Nova's API, asked as nova-compute's own user with a program of the release tree."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import CommandError
from openinfra_charm.openstack.programs import Programs, last_line

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

PROGRAM = "openinfra_compute.py"
_SECONDS = 45


class RefusedError(Exception):
    """Nova does not do what it is asked for, or does not answer; the message is what there is to say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A server of this host as Nova has it; `task` is what is being done to it, `power` the state that it was seen in last."""

    id: str
    name: str
    status: str
    task: str | None = None
    power: int | None = None
    instance: str = ""

    @property
    def runs(self) -> bool:
        """Whether it can be moved while it runs."""
        return self.status in {"ACTIVE", "PAUSED"} and not self.task

    @property
    def moves(self) -> bool:
        """Whether something is being done to it."""
        return bool(self.task) or self.status in {"MIGRATING", "REBUILD"}


class Control:
    """Nova's API, as far as it is about this host."""

    def __init__(self, machine: Machine, application: str) -> None:
        self._programs = Programs(machine, application, user="root")
        self._script = f"/usr/lib/openinfra/{application}/{PROGRAM}"
        self._config = f"/etc/{application}/nova.conf"

    def _ask(self, command: str, *arguments: str) -> Any:
        try:
            said = self._programs.run(
                "python", self._script, self._config, command, *arguments, seconds=_SECONDS
            )
        except (CommandError, TimeoutError) as error:
            raise RefusedError(last_line(error)) from error
        return json.loads(said)

    def service(self) -> dict[str, Any] | None:
        """Return nova-compute of this host as Nova has it; None where it has none.

        Raises:
            RefusedError: Nova does not answer.
        """
        return self._ask("service")

    def servers(self) -> list[Server]:
        """Return the servers of this host.

        Raises:
            RefusedError: Nova does not answer.
        """
        return [Server(**one) for one in self._ask("servers")]

    def disable(self, reason: str) -> None:
        """Have the scheduler put nothing more here.

        Raises:
            RefusedError: Nova does not do it.
        """
        self._ask("disable", reason)

    def enable(self) -> None:
        """Have the scheduler use this host.

        Raises:
            RefusedError: Nova does not do it.
        """
        self._ask("enable")

    def give_up(self) -> None:
        """Tell Nova that this host is down for good.

        Raises:
            RefusedError: Nova does not do it.
        """
        self._ask("give-up")

    def live_migrate(self, server: Server) -> None:
        """Begin to move a server that runs.

        Raises:
            RefusedError: Nova does not do it.
        """
        self._ask("live-migrate", server.id)

    def evacuate(self, server: Server) -> None:
        """Give a server that is shut off to another host.

        Raises:
            RefusedError: Nova does not do it.
        """
        self._ask("evacuate", server.id)

    def why_not_moved(self, server: Server) -> str:
        """Return what Nova says of a server that is still here.

        Raises:
            RefusedError: Nova does not answer.
        """
        return self._ask("why-not-moved", server.id) or "Nova does not say why"

    def delete(self, provider: str) -> list[str]:
        """Take the host out of Nova and Placement; return whose allocations keep it in Placement.

        Raises:
            RefusedError: Nova or Placement do not do it.
        """
        return self._ask("delete", provider)
