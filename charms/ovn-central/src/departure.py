"""How a unit leaves the clusters without taking the quorum, or the only copy of the databases, with it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raft import JOINING, DatabaseError, majority

if TYPE_CHECKING:
    from openinfra_charm.model.cluster import Cluster
    from ovn_central import OvnCentral
    from raft import Raft

STOP_SECONDS = 40
"""How long a hook waits until the others can do without this unit, before it fails for Juju to try again."""
LEAVE_SECONDS = 8
"""How long a server has to leave its cluster, once the others can do without it."""
PAUSE = 3


class UnsafeToRemoveError(Exception):
    """A unit that is removed would take the quorum or the databases with it."""


@dataclass(kw_only=True)
class Departure:
    """Whether this unit may leave, and its orderly stop."""

    cluster: Cluster
    ovn: OvnCentral
    unit: str

    def why_not(self) -> str | None:
        """Return why this unit must not leave the application now; None if it can.

        Where nobody stays the databases go with the application.
        """
        if not self._others_stay:
            return None
        for raft in self.ovn.rafts:
            if not raft.exists:
                continue
            status, title = raft.status(), raft.database.title
            if status and (status.has_left or status.state.startswith(JOINING)):
                continue
            if status is None or not status.serves:
                return f"the {title} database has no quorum here, and would not get one without {self.unit}"
            others, reached = len(status.servers) - 1, status.reachable - 1
            if not others:
                return f"the {title} database is on {self.unit} alone: another unit has to join it first"
            if reached < majority(others):
                return f"the {title} database would lose its quorum: {reached} of the {others} other members are connected"
        return None

    @property
    def _others_stay(self) -> bool:
        return bool(set(self.cluster.staying) - {self.unit})

    def leave(self) -> None:
        """Leave the clusters as soon as they can do without this unit, and stop.

        Raises:
            UnsafeToRemoveError: They cannot; Juju tries the hook again.
        """
        machine = self.ovn.machine
        if self.ovn.has_servers and self._others_stay:
            # An operator may have paused them; only a server that runs can leave.
            self.ovn.apply()
        limit = machine.now() + STOP_SECONDS
        while why := self.why_not():
            if machine.now() + PAUSE > limit:
                raise UnsafeToRemoveError(
                    f"{why}. The hook is tried again; to give up what is here: juju remove-unit --force {self.unit}"
                )
            machine.sleep(PAUSE)
        if self._others_stay:
            for raft in self.ovn.rafts:
                self._leave(raft)
        self.ovn.stop()
        self.ovn.discard()

    def _leave(self, raft: Raft) -> None:
        """Have one server leave; what goes wrong here the others mend, as soon as the unit is gone from the model."""
        status = raft.status()
        if status and status.is_member:
            with contextlib.suppress(DatabaseError):
                raft.leave()
                self.ovn.machine.wait_until(lambda: _has_left(raft), LEAVE_SECONDS)


def _has_left(raft: Raft) -> bool:
    status = raft.status()
    return status is None or status.has_left
