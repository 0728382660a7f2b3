"""What happens by the clock alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_model.core import leadership, secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openinfra_model.core.state import State


def advance(state: State, now: float) -> None:
    """Let the timers that are over take effect. Hooks that wait for a time are found by the rules of hooks."""
    leadership.expire(state, now)


def next_time(state: State, now: float) -> float | None:
    """Return the earliest time after which something is due, None if nothing waits for a time."""
    return min((time for time in _times(state) if time > now), default=None)


def _times(state: State) -> Iterator[float]:
    for application in state.applications:
        if application.lease_end is not None:
            yield application.lease_end
    for agent in state.agents:
        if agent.running and agent.started:
            yield agent.update_status_at
        if agent.failed and agent.retry_at is not None:
            yield agent.retry_at
    yield from secrets.timers(state)
