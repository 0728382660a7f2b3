"""nova-compute's twin as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import twin

from openinfra_charm import testing
from openinfra_charm.testing.packaging import Packaging

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Twin(testing.Twin):
    """The hosts of one application, and what Nova knows of them."""

    def __init__(self) -> None:
        self.registry: dict[str, dict[str, Any]] = {}
        self.hosts: list[twin.NovaCompute] = []

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine Python's packaging, the library for certificates, and nova-compute."""
        del address
        host = twin.NovaCompute(machine, [], self.registry)
        self.hosts.append(host)
        for software in (Packaging(machine), testing.Cryptography(), host):
            machine.bring(software)

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how many hosts are missing."""
        running = sum(host.machine.powered and host.machine.serves(host.agent) for host in self.hosts)
        if running < len(units):
            yield f"nova-compute runs on {running} machines, there are {len(units)} units"

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield what an operator does with one host."""
        yield from super().usual(units)
        yield f"run {units[0]} disable"
        yield f"run {units[0]} enable"

    def equip(self, unit: str) -> Iterator[str]:
        """Yield how an operator looks at a new host."""
        yield f"run {unit} drain dry-run=true"

    def settings(self) -> Sequence[str]:
        """Return what restarts the process."""
        return ("emulation-cache=64", "debug=true")
