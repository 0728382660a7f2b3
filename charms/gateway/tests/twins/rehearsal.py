"""The gateway's twin as rehearsals play it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import programs

from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Twin(testing.Twin):
    """The gateways of one application."""

    bears_leftovers = False
    """One that runs on still competes for the virtual address, until the `host` charm or the next unit on its machine stops it."""

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

    def why_not_served(self, client: testing.Client) -> str:
        """Return why nobody reaches a backend's route where the gateway says that it is served."""
        if client.endpoint != "haproxy-route-tcp" or not client.says.get("address"):
            return ""
        port, address = int(client.asks.get("port", "0")), json.loads(client.says["address"])
        endpoints: list[str] = json.loads(client.told.get("endpoints", "[]"))
        hosts = {endpoint.rpartition(":")[0].strip("[]") for endpoint in endpoints}
        if not hosts or {endpoint.rpartition(":")[2] for endpoint in endpoints} != {str(port)}:
            return f"it is told that its port {port} is served at {endpoints}"
        for one in self._serving:
            backends = one.backends_at(port)
            if not backends:
                return f"{one.machine.name} does not serve its port {port}"
            if not any(address in {place for _, place in one.servers(name)} for name in backends):
                return f"{one.machine.name} does not lead to {address}"
            if not any(map(one.reached, backends)):
                return f"{one.machine.name} leads to no backend that is up"
        # A name is another's business.
        places = {place for one in self._serving for place in (one.address, *_hosts(one.vips))}
        lost = {host for host in hosts if host.replace(".", "").isdecimal()} - places
        return f"nobody answers at {', '.join(sorted(lost))}" if lost else ""

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


def _hosts(vips: frozenset[str]) -> set[str]:
    return {vip.partition("/")[0] for vip in vips}
