"""Services that restart only when what they were started with has changed.

What a service runs with is recorded beside it when it starts, so that a hook that dies between writing a file
and restarting the service is finished by the next one, and a hook with nothing new does nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from openinfra_charm.machine import Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A systemd unit and the content (of files, of options) that it reads only when it starts."""

    unit: str
    inputs: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """A short digest of what the service runs with."""
        return hashlib.sha256("\0".join(self.inputs).encode()).hexdigest()[:16]


class Services:
    """The services of one application on this machine.

    Each has a record of its own, a file, since a job may stop one while a hook starts another.
    """

    def __init__(self, machine: Machine, application: str) -> None:
        self._machine = machine
        self._records = f"/var/lib/openinfra/{application}/services"
        self._pause_mark = f"/var/lib/openinfra/{application}/paused"
        self._seen: dict[str, str] = {}
        """The states of services that this hook has found, and has not changed since."""

    @property
    def units(self) -> list[str]:
        """The units that this application has started here, sorted."""
        return self._machine.list_folder(self._records)

    def outdated(self, services: Iterable[Service]) -> list[Service]:
        """Return the services that were started with something else than now."""
        return [
            service for service in services if self._started_with(service) not in {None, service.fingerprint}
        ]

    def ensure_running(self, services: Iterable[Service], *, fresh: bool = True) -> list[str]:
        """Enable and start what does not run yet; return the units that were started.

        A service that runs with something outdated is left alone: see `restart`.

        Args:
            services: What shall run.
            fresh: Whether systemd is asked, also where this hook has asked it about these and has changed nothing since.
        """
        wanted = tuple(services)
        states = self._states([service.unit for service in wanted], fresh=fresh)
        started = [
            unit for unit, state in states.items() if state not in {"active", "activating", "reloading"}
        ]
        changed = [s for s in wanted if s.unit in started or self._started_with(s) is None]
        units = [service.unit for service in changed]
        enabled = self._machine.enabled_services(*units)
        if missing := [unit for unit in units if unit not in enabled]:
            self._machine.enable_services(*missing)
        if started:
            self._seen.clear()
            self._machine.start_services(*started)
        for service in changed:
            self._record(service)
        return started

    def restart(self, service: Service) -> None:
        """Restart one service, and remember what it runs with now."""
        self._seen.clear()
        self._machine.restart_services(service.unit)
        self._record(service)

    def reload(self, service: Service) -> None:
        """Let one service read its configuration again without a stop, and remember what it runs with now."""
        self._seen.clear()
        self._machine.reload_services(service.unit)
        self._record(service)

    def note_start(self, service: Service) -> None:
        """Remember what a service runs with that systemd starts again by itself, since it was killed."""
        self._seen.clear()
        self._record(service)

    def stop(self, *units: str) -> None:
        """Stop services for good."""
        for unit in sorted(set(units) & set(self.units)):
            self._seen.clear()
            self._machine.stop_services(unit)
            self._machine.remove(f"{self._records}/{unit}")

    @property
    def paused(self) -> bool:
        """Whether an operator has paused them: they stay stopped, over hooks and restarts of the machine."""
        return self._machine.exists(self._pause_mark)

    def mark_paused(self, *, paused: bool) -> None:
        """Record whether they are paused; who does so stops or starts them."""
        if paused:
            self._machine.write(self._pause_mark, "")
        else:
            self._machine.remove(self._pause_mark)

    def failed(self) -> list[str]:
        """Return the units that this application has started here and that do not run, sorted.

        What `ensure_running` has found in this hook is not asked again.
        """
        return self.stopped(*self.units)

    def stopped(self, *units: str, fresh: bool = False) -> list[str]:
        """Return those of some units that do not run, as `failed` does; with `fresh`, asked of systemd in any case."""
        states = self._states(units, fresh=fresh)
        return [unit for unit, state in states.items() if state not in {"active", "reloading"}]

    def why_restarting(self, *units: str) -> str:
        """Return which of some units end and are started again and again, and how often, in words; as `stopped` has found them."""
        self._states(units, fresh=False)
        again = self._machine.restarting_services(*units)
        words = ", ".join(f"{unit} ({number} times)" for unit, number in again.items())
        return f"{words} ends and is started again and again; see journalctl -u {min(again)}" if again else ""

    def _states(self, units: Sequence[str], *, fresh: bool) -> dict[str, str]:
        """Return how some units are; the others of the application are asked about with them."""
        if fresh or not set(units) <= self._seen.keys():
            self._seen = self._machine.service_states(*dict.fromkeys((*units, *self.units)))
        return {unit: self._seen[unit] for unit in units}

    def _started_with(self, service: Service) -> str | None:
        return self._machine.read(f"{self._records}/{service.unit}")

    def _record(self, service: Service) -> None:
        self._machine.write(f"{self._records}/{service.unit}", service.fingerprint)
