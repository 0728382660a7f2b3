"""The machine a unit runs on: the one seam between a workload and the world.

Workload modules read and change the machine only through a `Machine`. Tests and rehearsals put another
object in its place with `use`; nothing else has to be swapped.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING

from openinfra_charm.machine.network import InterfaceAddress, Network
from openinfra_charm.machine.packages import APT_ENVIRONMENT, NO_START, Packages
from openinfra_charm.machine.paths import LinkError, is_unfinished
from openinfra_charm.machine.processes import Answer, CommandError, Result
from openinfra_charm.machine.units import Units
from openinfra_charm.machine.users import Users

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "APT_ENVIRONMENT", "NO_START", "Answer", "CommandError", "InterfaceAddress", "LinkError", "Machine", "Result",
    "is_unfinished", "this", "use",
]  # fmt: skip


class Machine(Packages, Users, Units, Network):
    """This machine, through its own programs and system calls."""

    def boot_id(self) -> str:
        """Return an id that is new after each start of the machine (from systemd, true in containers too)."""
        return self.run(
            "systemctl", "show", "--property=UserspaceTimestampMonotonic", "--value"
        ).stdout.strip()

    def virtualization(self) -> str:
        """Return what systemd-detect-virt says: `none`, `lxc`, `kvm`, ..."""
        return self.run("systemd-detect-virt", check=False).stdout.strip()


_current: ContextVar[Machine] = ContextVar("machine", default=Machine())  # noqa: B039  it has no state


def this() -> Machine:
    """Return the machine that the running code manages."""
    return _current.get()


@contextlib.contextmanager
def use(machine: Machine) -> Generator[Machine]:
    """Put another machine in the place of this one for a while, as tests and rehearsals do."""
    token = _current.set(machine)
    try:
        yield machine
    finally:
        _current.reset(token)
