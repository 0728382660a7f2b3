"""Services that restart only when what they were started with has changed.

What a service runs with is recorded beside it when it starts, so that a hook that dies between writing a file
and restarting the service is finished by the next one, and a hook with nothing new does nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_charm.machine import Machine

HARDENED = """\
NoNewPrivileges=yes
PrivateTmp=yes
ProtectHome=yes
ProtectControlGroups=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictSUIDSGID=yes
"""
"""Sandboxing that every daemon we write a unit for can live with (systemd.exec(5))."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A systemd unit and the content (of files, of options) that only a restart lets it take up."""

    unit: str
    inputs: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """A short digest of what the service runs with."""
        return hashlib.sha256("\0".join(self.inputs).encode()).hexdigest()[:16]


class Services:
    """The services of one application on this machine."""

    def __init__(self, machine: Machine, application: str) -> None:
        self._machine = machine
        self._record = f"/var/lib/openinfra/{application}/services.json"

    def outdated(self, services: Iterable[Service]) -> list[Service]:
        """Return the running services that were started with something else than now."""
        started = self._read()
        wanted = [service for service in services if service.unit in started]
        return [service for service in wanted if started[service.unit] != service.fingerprint]

    def ensure_running(self, services: Iterable[Service]) -> list[str]:
        """Enable and start what does not run yet; return the units that were started.

        A service that runs with something outdated is left alone: see `restart`.
        """
        wanted = tuple(services)
        units = [service.unit for service in wanted]
        enabled = self._machine.enabled_services(*units)
        if missing := [unit for unit in units if unit not in enabled]:
            self._machine.enable_services(*missing)
        states = self._machine.service_states(*units)
        started = [unit for unit in units if states[unit] not in {"active", "activating", "reloading"}]
        if started:
            self._machine.start_services(*started)
        known = self._read()
        fresh = {s.unit: s.fingerprint for s in wanted if s.unit in started or s.unit not in known}
        self._write({**known, **fresh})
        return started

    def restart(self, service: Service) -> None:
        """Restart one service, and remember what it runs with now."""
        self._machine.restart_services(service.unit)
        self._write({**self._read(), service.unit: service.fingerprint})

    def stop(self, *units: str) -> None:
        """Stop services for good."""
        known = self._read()
        present = [unit for unit in units if unit in known]
        if present:
            self._machine.stop_services(*present)
            self._write({unit: mark for unit, mark in known.items() if unit not in present})

    @property
    def units(self) -> list[str]:
        """The units that this application has started here, sorted."""
        return sorted(self._read())

    def _read(self) -> dict[str, str]:
        return json.loads(self._machine.read(self._record) or "{}")

    def _write(self, record: dict[str, str]) -> None:
        self._machine.write(self._record, json.dumps(record, indent=1, sort_keys=True) + "\n")
