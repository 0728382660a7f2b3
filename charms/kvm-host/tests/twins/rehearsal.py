"""The hypervisor's twin as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs

from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Twin(testing.Twin):
    """The hypervisors of one application."""

    def __init__(self) -> None:
        self.hosts: list[programs.HypervisorSoftware] = []

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine its libvirt."""
        del address
        host = programs.HypervisorSoftware(machine)
        self.hosts.append(host)
        machine.bring(host)

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how many hypervisors are missing."""
        serving = sum(host.serves for host in self.hosts)
        if serving < len(units):
            yield f"libvirt answers on {serving} machines, there are {len(units)} units"

    def served(self) -> Iterator[tuple[str, str]]:
        """Yield what libvirt serves for other hosts."""
        for host in self.hosts:
            if host.serves and host.served:
                yield f"libvirt of {host.machine.name}", host.served

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how an operator looks at each host."""
        yield from super().usual(units)
        yield f"run {units[0]} check-virtualization"

    def equip(self, unit: str) -> Iterator[str]:
        """Yield how an operator looks at a new host."""
        yield f"run {unit} list-guests"

    def settings(self) -> Sequence[str]:
        """Return what is changed while all run on."""
        return ("reserved-host-memory=4096", "shutdown-timeout=60", "cpu-mode=maximum")
