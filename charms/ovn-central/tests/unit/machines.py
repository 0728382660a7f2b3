"""A machine in memory with OVN's databases on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs
from cluster_model import CERTIFICATES

from openinfra_charm.testing import MemoryMachine

if TYPE_CHECKING:
    import twin

CHASSIS, CMS = CERTIFICATES + 1, CERTIFICATES + 2
"""Ids of relations."""


class OvnMachine(MemoryMachine):
    """A machine of the clusters."""

    def __init__(self, ovn: twin.Ovn, number: int) -> None:
        super().__init__(f"machine-{number}")
        self.address = f"10.0.0.{10 + number}"
        self.ovn = programs.OvnSoftware(ovn, self, self.address)
        self.bring(self.ovn)
