"""Have a unit do without what only it does, so that it can be removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import MySqlCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    dry_run: bool = False
    cancel: bool = False


def run(charm: MySqlCharm, params: Params) -> Outcome:
    """Have another member take the writes and the scheduled backups; or with `cancel`, have this one count again.

    Raises:
        ActionError: The data would be lost with this unit.
    """
    unit = charm.unit.name
    is_writer = charm.members.writer == unit
    if params.cancel:
        if not params.dry_run:
            charm.cluster.publish(leaving=None)
        return Outcome(summary=f"{unit} stays")
    if not set(charm.cluster.staying) - {unit}:
        raise ActionError(
            f"{unit} is the last unit: all data go with it; make a backup first (create-backup)"
        )
    if why := charm.departure.why_not():
        raise ActionError(why)
    words = (
        "another member takes the writes, and sessions of clients are cut"
        if is_writer
        else "clients notice nothing"
    )
    if params.dry_run:
        return Outcome(summary=f"possible: {words}", result={"writer": is_writer})
    charm.cluster.publish(leaving=True)
    return Outcome(summary=f"{words}; then: juju remove-unit {unit}", result={"writer": is_writer})
