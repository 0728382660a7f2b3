"""The statuses of units, each change of which is kept in the unit's status history."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from openinfra_model.core.entities import LogEntry, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_model.core.entities import Unit
    from openinfra_model.core.state import State

HISTORY_LENGTH = 100

INSTALLING = "installing charm software"
INITIALISING = "agent initialising"
WAITING_FOR_MACHINE = "waiting for machine"


def set_workload(state: State, name: str, current: str, message: str, now: float) -> None:
    """Set what the charm says of its workload."""
    _set(state, name, "workload", Status(current=current, message=message, since=now))


def set_agent(
    state: State,
    name: str,
    current: str,
    now: float,
    *,
    message: str = "",
    data: Mapping[str, Any] | None = None,
) -> None:
    """Set what the unit's agent does."""
    _set(state, name, "juju-unit", Status(current=current, message=message, since=now, data=dict(data or {})))


def _set(state: State, name: str, kind: Literal["workload", "juju-unit"], status: Status) -> None:
    unit = state.units[name]
    state.log.put(LogEntry(unit=name, slot=unit.log_length % HISTORY_LENGTH, kind=kind, status=status))
    length = unit.log_length + 1
    if kind == "workload":
        state.units.put(replace(unit, workload=status, log_length=length))
    else:
        state.units.put(replace(unit, agent=status, log_length=length))


def entries(state: State, name: str) -> list[LogEntry]:
    """Return a unit's history, oldest first."""
    length = state.units[name].log_length
    first = max(0, length - HISTORY_LENGTH)
    return [state.log[f"{name}#{number % HISTORY_LENGTH}"] for number in range(first, length)]


def forget(state: State, name: str) -> None:
    """Drop the history of a unit that is going."""
    for entry in entries(state, name):
        state.log.remove(entry.key)


def shown_workload(unit: Unit) -> Status:
    """Return a unit's workload status; a hook in error hides it."""
    return unit.agent if unit.agent.current == "error" else unit.workload
