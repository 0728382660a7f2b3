"""The tap guard of this machine: has Open vSwitch open again what it reads from no more, where it forwards by itself."""

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

PROGRAM = Path(__file__).parent / "files/tap-guard"


class TapGuard:
    """A small service of this application's own; see files/tap-guard."""

    def __init__(self, machine: Machine, application: str, services: Services, templates: Templates) -> None:
        self._machine = machine
        self._application = application
        self._services = services
        self._templates = templates
        self.unit = f"{application}-tap-guard.service"
        self._unit_file = f"/etc/systemd/system/{self.unit}"
        self._program = f"/usr/lib/openinfra/{application}-tap-guard"

    @property
    def paths(self) -> tuple[str, ...]:
        """What is written for it."""
        return (self._program, self._unit_file)

    def apply(self, *, needed: bool) -> None:
        """Have it run where it is needed, and nothing of it be there where it is not."""
        if not needed:
            self.remove()
            return
        text = PROGRAM.read_text(encoding="utf-8")
        unit = self._templates.fill(
            "tap-guard.service.j2", self._unit_file, application=self._application, program=self._program
        )
        changed = render.write(self._machine, unit, File(path=self._program, content=text, mode=0o755))
        if self._unit_file in changed:
            self._machine.reload_systemd()
        service = Service(unit=self.unit, inputs=(unit.content, text))
        self._services.ensure_running([service])
        for outdated in self._services.outdated([service]):
            self._services.restart(outdated)

    def remove(self) -> None:
        """Stop it, and take it off the machine."""
        self._services.stop(self.unit)
        removed = [self._machine.remove(path) for path in self.paths]
        if any(removed):
            self._machine.reload_systemd()
