"""The gateway's twin as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs

from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Twin(testing.Twin):
    """The gateways of one application."""

    def __init__(self) -> None:
        self.network = programs.Network()

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine HAProxy and keepalived."""
        machine.bring(programs.GatewaySoftware(self.network, machine, address))

    @property
    def _serving(self) -> list[programs.GatewaySoftware]:
        return [one for one in self.network.machines if one.serves]

    def violations(self) -> Iterator[str]:
        """Yield what must never be: a port with nothing behind it, an address where nothing serves."""
        for one in self._serving:
            for section in one.sections:
                if section.kind == "frontend" and section.name != "health" and not _leads_somewhere(section):
                    yield f"nothing is served but routes: {one.machine.name} has {section.name} with no backend"
        for one in self.network.machines:
            if one.vips and not one.serves:
                yield f"a virtual address is where HAProxy answers: {one.machine.name} has {sorted(one.vips)}"

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield where gateways differ, and where the virtual addresses are not, or twice."""
        serving = self._serving
        if len(serving) != len(units):
            yield f"{len(serving)} gateways serve, there are {len(units)} units"
        if len({frozenset(one.ports) for one in serving}) > 1:
            yield f"all gateways serve the same ports: {[sorted(one.ports) for one in serving]}"
        orders = {backend: {tuple(one.servers(backend)) for one in serving} for backend in _backends(serving)}
        yield from (f"all gateways have the same order: {one}" for one in orders.items() if len(one[1]) > 1)
        wanted = {
            vip for one in serving for vip in one.wanted_vips if one.machine.serves(programs.KEEPALIVED)
        }
        for vip in wanted:
            holders = [one.machine.name for one in serving if vip in one.vips]
            if len(holders) != 1:
                yield f"{vip} is on one machine: it is on {holders}"

    def settings(self) -> Sequence[str]:
        """Return what operators change."""
        return (
            "vip=10.255.0.1",
            "vip=",
            "connection-limit=500",
            "session-timeout=60",
            "public-hostname=cloud.example",
        )


def _leads_somewhere(section: programs.Section) -> bool:
    return bool(section.values("default_backend") or section.values("use_backend"))


def _backends(serving: list[programs.GatewaySoftware]) -> set[str]:
    sections = [section for one in serving for section in one.sections if section.kind == "backend"]
    common = {section.name for section in sections}
    return {name for name in common if all(any(s.name == name for s in one.sections) for one in serving)}
