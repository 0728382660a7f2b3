"""The operating system's twin as rehearsals play it."""

from __future__ import annotations

import programs

from openinfra_charm import testing


class Twin(testing.Twin):
    """Nothing joins the machines' systems."""

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine its system."""
        del address
        machine.bring(programs.HostSoftware(machine))
