"""The health service of this machine: what a load balancer asks before it sends clients to the server."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_charm.daemon import render
from openinfra_charm.daemon.render import File
from openinfra_charm.daemon.services import Service, Services
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine
    from state import State

PORT = 13307
ASK_SECONDS = 2
"""How long another unit's health service may take to answer."""
HERE = Path(__file__).parent


class HealthService:
    """A small HTTPS server of this application's own; see files/health-service.py."""

    def __init__(self, machine: Machine, application: str) -> None:
        self._machine = machine
        self._application = application
        self._services = Services(machine, application)
        self._templates = render.Templates(machine, application, HERE / "templates")
        self._program = f"/usr/lib/openinfra/{application}-health"
        self._files = f"/etc/{application}/health-files"
        self.unit = f"{application}-health.service"

    def apply(self, state: State, *, may_have_died: bool) -> None:
        """Bring the service to the unit's address and certificate; only another address or program restarts it.

        It speaks TLS as soon as all members can: those who ask it know one way for all.

        Args:
            state: What the model says.
            may_have_died: Whether to look if a service runs that was started before.
        """
        path = f"/etc/systemd/system/{self.unit}"
        unit = self._templates.fill(
            "health.service.j2",
            path,
            application=self._application,
            program=self._program,
            address=state.member.client_address,
            port=PORT,
            files=self._files,
        )
        program = (HERE / "files/health-service.py").read_text(encoding="utf-8")
        tls = state.tls if state.tls and state.tls.copies else None
        changed = render.write(
            self._machine,
            unit,
            File(path=self._program, content=program, mode=0o755),
            File(path=self._files, content=f"{tls.chain}\n{tls.key}\n{tls.ca}\n" if tls else ""),
        )
        if path in changed:
            self._machine.reload_systemd()
        service = Service(unit=self.unit, inputs=(unit.content, program))
        if may_have_died or self.unit not in self._services.units:
            self._services.ensure_running([service])
        for outdated in self._services.outdated([service]):
            self._services.restart(outdated)

    def is_synced(self, address: str, ca_path: str) -> bool:
        """Ask the health service of another unit whether its server is in the primary component, and complete.

        Others may have gone on to TLS when this unit was on its way out already, and did not learn of it. One that has
        gone on itself believes nobody in clear.
        """
        schemes = ["https"] if self._machine.exists(ca_path) else []
        if not self._machine.read(self._files):
            schemes.append("http")
        return any(self._is_synced(scheme, address, ca_path) for scheme in schemes)

    def _is_synced(self, scheme: str, address: str, ca_path: str) -> bool:
        url = f"{scheme}://{bracketed(address)}:{PORT}/synced"
        try:
            return self._machine.fetch(url, ca_path=ca_path, timeout=ASK_SECONDS).status == HTTPStatus.OK
        except OSError:
            return False

    def remove(self) -> None:
        """Take it off the machine."""
        self._services.stop(self.unit)
        for path in (f"/etc/systemd/system/{self.unit}", self._program, self._files):
            self._machine.remove(path)
