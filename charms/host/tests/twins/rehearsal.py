"""The operating system's twin as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs

from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Sequence


class Twin(testing.Twin):
    """Nothing joins the machines' systems."""

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine its system."""
        del address
        machine.bring(programs.HostSoftware(machine))

    def settings(self) -> Sequence[str]:
        """Return what is rendered into several files."""
        return (
            "journal-max-age=30",
            "ntp-servers=ntp.example",
            "ssh-root-login=no",
            "security-updates=false",
        )
