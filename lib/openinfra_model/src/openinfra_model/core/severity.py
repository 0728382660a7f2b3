"""What status an application has, from what it said itself or from its units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_model.core import find, history
from openinfra_model.core.entities import Status

if TYPE_CHECKING:
    from openinfra_model.core.entities import Application
    from openinfra_model.core.state import State

# Juju: core/status, the worst comes first.
_WORST_FIRST = ("error", "blocked", "maintenance", "waiting", "active", "terminated", "unknown")


def application_status(state: State, application: Application) -> Status:
    """Return what the leader set, or else the worst status of the units."""
    if application.status:
        return application.status
    statuses = [history.shown_workload(unit) for unit in find.units_of(state, application.name)]
    unknown = Status(current="unknown", since=application.created)
    return min(statuses, key=lambda status: _WORST_FIRST.index(status.current), default=unknown)
