"""How a unit leaves without taking the last copy of a message, or the majority of a queue, with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from control import RefusedError, UnreachableError
from openinfra_charm.values import bracketed
from rabbitmq import DRAINED, METRICS
from state import node_name, unit_of

if TYPE_CHECKING:
    from openinfra_charm.model.cluster import Cluster
    from rabbitmq import RabbitMq
    from state import Members

STOP_SECONDS = 40
"""How long a hook waits for the cluster to be able to do without this unit, before it fails for Juju to try again."""
ASK_SECONDS = 3


class UnsafeToRemoveError(Exception):
    """A unit that is removed would take messages with it."""


@dataclass(kw_only=True)
class Departure:
    """Whether this unit may leave, and its orderly stop."""

    cluster: Cluster
    members: Members
    rabbitmq: RabbitMq

    def remember(self) -> None:
        """Note where the brokers of all units are, for when this one leaves: the relation lists nobody then."""
        addresses = {unit: member.client_address for unit, member in self.members.items()}
        self.rabbitmq.note("brokers.json", json.dumps(addresses, sort_keys=True))

    def why_not(self) -> str:
        """Return why this unit must not leave the application now; empty if it can.

        Where nobody stays the messages go with the application.
        """
        unit, rabbitmq = self.members.unit, self.rabbitmq
        others = [one for one in self.cluster.staying if one != unit]
        if not others or rabbitmq.is_empty or not self.cluster.facts(unit).get("joined"):
            return ""
        if rabbitmq.node() is None:
            if any(self._serves(one) for one in others):
                return ""
            return f"messages would be lost: none of the units that stay ({', '.join(others)}) serves"
        try:
            return rabbitmq.control.why_critical()
        except UnreachableError as error:
            return str(error)

    def leave(self) -> None:
        """Stop the broker as soon as the cluster can do without this unit; those that stay make the cluster forget it.

        Raises:
            UnsafeToRemoveError: Messages would be lost with it; Juju tries the hook again.
        """
        machine = self.rabbitmq.machine
        limit = machine.now() + STOP_SECONDS
        if self.why_not():
            self._hand_over()
        while why := self.why_not():
            if machine.now() + 5 > limit:
                unit = self.members.unit
                raise UnsafeToRemoveError(
                    f"{why}. The hook is tried again; to give the messages up: juju remove-unit --force {unit}"
                )
            machine.sleep(5)
        self.rabbitmq.stop()

    def _hand_over(self) -> None:
        """Have queues go on with members on units that stay, as nobody has prepared the removal.

        Only where all other members run: a queue that loses one of two whose other one is down would stand still. Nobody else can do
        it where this unit leads: as long as its hook fails there is no other leader.
        """
        control, me = self.rabbitmq.control, node_name(self.members.unit)
        try:
            for unit in self.members.lost:
                control.forget(node_name(unit))
            found = control.cluster_status()
            if set(found.members) != set(found.running):
                return
            for node in found.running:
                if node != me and unit_of(node) in self.cluster.staying:
                    control.grow(node)
            self.rabbitmq.note(DRAINED, "yes")
            control.drain()
            control.shrink(me)
        except (RefusedError, UnreachableError):
            # What could not be done now is tried again with the hook.
            return

    def _serves(self, unit: str) -> bool:
        """Ask another unit's broker whether it serves; its relation may list nobody any more."""
        known: dict[str, str] = json.loads(self.rabbitmq.noted("brokers.json") or "{}")
        address = self.cluster.recall(unit).get("client_address") or known.get(unit)
        if not address:
            return False
        url = f"https://{bracketed(address)}:{METRICS}/metrics"
        try:
            answer = self.rabbitmq.machine.fetch(url, ca_path=self.rabbitmq.tls.ca_path, timeout=ASK_SECONDS)
        except OSError:
            return False
        return answer.status == HTTPStatus.OK
