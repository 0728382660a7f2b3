"""The guard of this machine: what a broker does not see to itself in a partition.

Where metadata are in Khepri it keeps clients off a broker without a majority; where they are in Mnesia it restarts one that a partition has left over.
"""

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

FILES = Path(__file__).parent / "files"
KEEP_OFF, REJOIN = "rabbitmq-guard.py", "rabbitmq-rejoin.py"
_DOES = {
    KEEP_OFF: "Keeps clients off a broker without a majority",
    REJOIN: "Restarts a broker that a partition has left over",
}


class Guard:
    """A small service of this application's own, which runs one of two programs; see files."""

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

    def apply(self, does: str, *arguments: str) -> None:
        """Have it run.

        Args:
            does: Which program: `KEEP_OFF` or `REJOIN`.
            arguments: What that is given.
        """
        path = f"/etc/systemd/system/{self.unit}"
        service_file = self._templates.fill(
            "guard.service.j2", path, application=self._application, description=_DOES[does],
            command=" ".join((self._program, *arguments)),
        )  # fmt: skip
        text = (FILES / does).read_text(encoding="utf-8")
        changed = render.write(
            self._machine, service_file, File(path=self._program, content=text, mode=0o755)
        )
        if path in changed:
            self._machine.reload_systemd()
        service = Service(unit=self.unit, inputs=(service_file.content, text))
        self._services.ensure_running([service])
        for outdated in self._services.outdated([service]):
            self._services.restart(outdated)
