"""A machine in memory with RabbitMQ on it, and the ids of relations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs
from cluster_model import CERTIFICATES

from openinfra_charm.testing import MemoryMachine

if TYPE_CHECKING:
    import twin

CLIENT = CERTIFICATES + 1


class BrokerMachine(MemoryMachine):
    """A machine of the cluster."""

    def __init__(self, brokers: twin.Brokers, number: int) -> None:
        super().__init__(f"machine-{number}")
        self.address = f"10.0.0.{10 + number}"
        self.broker = programs.RabbitMq(brokers, self, self.address)
        self.bring(self.broker)
