"""The identity of this host in Nova, which nova-compute does not start without once it had one, and whether the host has left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine


class Place:
    """What nova-compute keeps of itself in the application's folder on this machine."""

    def __init__(self, machine: Machine, application: str) -> None:
        self._machine = machine
        self._identity = f"/var/lib/{application}/compute_id"
        self._lost = f"/var/lib/{application}/resume.json"
        self._departed = f"/var/lib/openinfra/{application}/departed"

    @property
    def identity(self) -> str:
        """The uuid of this host in Nova and in Placement; empty before nova-compute has made one."""
        return (self._machine.read(self._identity) or "").strip()

    def restore(self, identity: str) -> None:
        """Have the identity back that the model knows, where the machine has lost it."""
        if identity and not self.identity and not self.departed:
            self._machine.write(self._identity, identity, mode=0o600)

    @property
    def departed(self) -> bool:
        """Whether the host was taken out of Nova."""
        return self._machine.exists(self._departed)

    def depart(self) -> None:
        """Record that it was, and forget its identity: Nova refuses one that it has deleted."""
        self._machine.write(self._departed, "")
        self._machine.remove(self._identity)

    def come_back(self) -> None:
        """Take that back."""
        self._machine.remove(self._departed)

    def lost_servers(self, running: list[str]) -> list[str]:
        """Return the names of servers that ran when the machine stopped and that never came back, with their ids."""
        found: list[dict[str, Any]] = json.loads(self._machine.read(self._lost) or "[]")
        return [
            f"{one['name']} ({one['id']})"
            for one in found
            if one["instance"] not in running
            and self._machine.exists(f"/etc/libvirt/qemu/{one['instance']}.xml")
        ]
