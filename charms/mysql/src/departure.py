"""How a unit leaves without taking the last complete copy of the data with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from health_service import HealthService
    from mysql import MySql
    from openinfra_charm.model.cluster import Cluster
    from restore import Restoration
    from state import Members

STOP_SECONDS = 40
"""How long a hook waits for the cluster to be able to do without this unit, before it fails for Juju to try again."""


class UnsafeToRemoveError(Exception):
    """A unit that is removed would take the only complete data with it."""


@dataclass(kw_only=True)
class Departure:
    """Whether this unit may leave, and its orderly stop."""

    cluster: Cluster
    members: Members
    mysql: MySql
    health_service: HealthService
    restoration: Restoration
    ca_path: str
    """The CA by which other units' health services are verified."""

    @property
    def _notes(self) -> str:
        return f"/var/lib/openinfra/{self.mysql.application}/members.json"

    def remember(self) -> None:
        """Note where the servers of all units are, for when this one leaves: the relation lists nobody then."""
        addresses = {unit: member.client_address for unit, member in self.members.items()}
        self.mysql.machine.write(self._notes, json.dumps(addresses, sort_keys=True))

    def why_not(self) -> str | None:
        """Return why this unit must not leave the application now; None if it can.

        Where nobody stays the data go with the application.
        """
        mysql, me = self.mysql, self.members.get(self.members.unit)
        if self.restoration.does_without:
            return None
        node = mysql.node()
        if node and node.gives_copy:
            return "another unit is just copying its data from this one"
        others = [unit for unit in self.cluster.staying if unit != self.members.unit]
        has_data = mysql.has_history or bool(me and me.joined)
        if not others or mysql.receives_copy or not has_data:
            return None
        known: dict[str, str] = json.loads(self.mysql.machine.read(self._notes) or "{}")
        for unit in others:
            address = self.cluster.recall(unit).get("client_address") or known.get(unit)
            if address and self.health_service.is_synced(address, self.ca_path):
                return None
        return f"the data would be lost: none of the units that stay ({', '.join(others)}) has a complete copy and serves"

    def leave(self) -> None:
        """Stop the server as soon as the cluster can do without this unit.

        Raises:
            UnsafeToRemoveError: The data would be lost with it; Juju tries the hook again.
        """
        limit = self.mysql.machine.now() + STOP_SECONDS
        while why := self.why_not():
            if self.mysql.machine.now() > limit:
                unit = self.members.unit
                raise UnsafeToRemoveError(
                    f"{why}. The hook is tried again; to give the data up: juju remove-unit --force {unit}"
                )
            self.mysql.machine.sleep(5)
        self.mysql.stop()
