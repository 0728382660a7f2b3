"""The guard of this machine: it keeps clients off a broker that is on the smaller side of a partition and does not pause itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_charm.daemon import render
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service

if TYPE_CHECKING:
    from openinfra_charm.daemon.render import Templates
    from openinfra_charm.daemon.services import Services
    from openinfra_charm.machine import Machine

HERE = Path(__file__).parent


class Guard:
    """A small service of this application's own; see files/rabbitmq-guard.py."""

    def __init__(self, machine: Machine, application: str, services: Services, templates: Templates) -> None:
        self._machine = machine
        self._application = application
        self._services = services
        self._templates = templates
        self.unit = f"{application}-guard.service"
        self._program = f"/usr/lib/openinfra/{application}-guard"

    @property
    def paths(self) -> tuple[str, ...]:
        """What is written for it."""
        return (self._program, f"/etc/systemd/system/{self.unit}")

    def apply(self, *, unit: str, members: str, address: str) -> None:
        """Have it run.

        Args:
            unit: This unit.
            members: The file with the units of the cluster, a line each.
            address: Where clients reach the broker, as a term of Erlang.
        """
        path = f"/etc/systemd/system/{self.unit}"
        service_file = self._templates.fill(
            "guard.service.j2", path, application=self._application, guard=self._program, members=members, unit=unit,
            client_term=address,
        )  # fmt: skip
        text = (HERE / "files/rabbitmq-guard.py").read_text(encoding="utf-8")
        changed = render.write(
            self._machine, service_file, File(path=self._program, content=text, mode=0o755)
        )
        if path in changed:
            self._machine.reload_systemd()
        service = Service(unit=self.unit, inputs=(service_file.content, text))
        self._services.ensure_running([service])
        for outdated in self._services.outdated([service]):
            self._services.restart(outdated)
