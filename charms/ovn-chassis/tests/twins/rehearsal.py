"""The twin of Open vSwitch and ovn-controller as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs

from openinfra_charm import testing
from openinfra_charm.testing.packaging import Packaging

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Twin(testing.Twin):
    """The chassis of one application; they know nothing of each other."""

    def __init__(self) -> None:
        self.chassis: list[programs.ChassisSoftware] = []

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine its Open vSwitch, and Python's packaging for the metadata agent."""
        chassis = programs.ChassisSoftware(machine, address)
        self.chassis.append(chassis)
        for software in (Packaging(machine), chassis):
            machine.bring(software)

    def violations(self) -> Iterator[str]:
        """Yield which machine was taken off the network."""
        for one in self.chassis:
            if one.machine.powered and not one.is_reached:
                yield f"no machine is taken off the network: {one.machine.name} has its address nowhere"
            name = one.database.external_ids.get("system-id")
            if name not in {None, one.machine.name}:
                yield f"a chassis keeps its name: {one.machine.name} is called {name}"

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how many chassis are missing."""
        connected = [one for one in self.chassis if one.machine.powered and one.is_connected]
        if len(connected) < len(units):
            yield f"{len(connected)} chassis are connected, there are {len(units)} units"
        for one in self.chassis:
            if one.machine.powered and one.has_agent and not one.agent_works:
                yield f"the metadata agent of {one.machine.name} does not work"

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how an operator looks at each chassis."""
        yield from super().usual(units)
        yield f"run {units[0]} check-mtu"

    def equip(self, unit: str) -> Iterator[str]:
        """Yield how an operator looks at a new chassis."""
        yield f"run {unit} show-chassis"

    def settings(self) -> Sequence[str]:
        """Return what is changed while all run on."""
        return (
            "prefer-chassis-as-gw=true",
            "bridge-interface-mappings=br-ex:eth1",
            "userspace-tunnel-network=172.28.0.0/16",
        )
