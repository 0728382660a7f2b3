"""A machine in memory with MariaDB on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs
from cluster_model import CERTIFICATES

from openinfra_charm.testing import MemoryMachine

if TYPE_CHECKING:
    import twin


GATEWAY = CERTIFICATES + 1
"""Ids of relations."""


class MySqlMachine(MemoryMachine):
    """A machine of the cluster."""

    def __init__(self, galera: twin.Galera, number: int) -> None:
        super().__init__(f"machine-{number}")
        self.address = f"10.0.0.{10 + number}"
        self.server = programs.MariaDb(galera, self, self.address)
        self.bring(self.server)
