"""A machine in memory with the twin of Open vSwitch."""

from __future__ import annotations

import programs
from model import PEERS
from running import Jobs

from openinfra_charm.testing import MemoryMachine
from openinfra_charm.testing.packaging import Packaging

CERTIFICATES, OVSDB, HOST, NOVA = PEERS + 1, PEERS + 2, PEERS + 3, PEERS + 4
"""Ids of relations."""


class ChassisMachine(MemoryMachine):
    """A machine with the twin; with `has_module` its kernel forwards. Jobs run as time passes."""

    def __init__(self, number: int, *, has_module: bool = False) -> None:
        super().__init__(f"machine-{number}")
        self.address = f"10.0.0.{number + 10}"
        self.chassis = programs.ChassisSoftware(self, self.address, has_module=has_module)
        for software in (Packaging(self), Jobs(self), self.chassis):
            self.bring(software)
