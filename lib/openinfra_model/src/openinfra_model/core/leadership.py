"""Who leads an application: a lease of a minute, renewed by its holder's agent twice a minute.

Renewals need no timer: when the holder stops renewing, the end of its lease follows from when it began
(Juju: core/lease, worker/leadership; duration 60 s).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model.core import find

if TYPE_CHECKING:
    from openinfra_model.core.entities import Application
    from openinfra_model.core.state import State

LEASE_SECONDS = 60.0
RENEWAL_SECONDS = 30.0


def leader(state: State, application: str) -> str:
    """Return the unit that leads an application, empty if none does."""
    name = state.applications[application].leader
    return name if name in state.units else ""


def is_leader(state: State, unit: str) -> bool:
    """Say whether a unit holds its application's lease."""
    return state.applications[state.units[unit].application].leader == unit


def claim(state: State, unit: str, now: float) -> None:
    """Ask for leadership, as an agent does when it starts; the holder of the lease renews it."""
    application = state.applications[state.units[unit].application]
    if application.leader in ("", unit):
        begin = application.lease_start if application.leader else now
        state.applications.put(replace(application, leader=unit, lease_start=begin, lease_end=None))


def stop_renewing(state: State, unit: str, now: float) -> None:
    """Note that a unit's agent is gone: a lease that it holds runs out."""
    application = state.applications.get(unit.partition("/")[0])
    if application is None or application.leader != unit or application.lease_end is not None:
        return
    renewals = (now - application.lease_start) // RENEWAL_SECONDS
    end = application.lease_start + renewals * RENEWAL_SECONDS + LEASE_SECONDS
    state.applications.put(replace(application, lease_end=end))


def expire(state: State, now: float) -> None:
    """End the leases that ran out; the first unit that waits becomes the leader."""
    for application in state.applications:
        if application.lease_end is not None and application.lease_end <= now:
            _elect(state, application, now)


def hand_over(state: State, unit: str, now: float) -> None:
    """Let a unit lead, as when the leader's agent stalls for longer than its lease and another unit is quicker."""
    application = state.applications[state.units[unit].application]
    former = state.agents.get(application.leader)
    if former and former.leader:
        state.agents.put(replace(former, leader=False))
    state.applications.put(replace(application, leader=unit, lease_start=now, lease_end=None))


def _elect(state: State, application: Application, now: float) -> None:
    waiting = [unit for unit in find.units_of(state, application.name) if state.agents[unit.name].running]
    chosen = min(waiting, key=lambda unit: (unit.life != "alive", unit.number), default=None)
    state.applications.put(
        replace(application, leader=chosen.name if chosen else "", lease_start=now, lease_end=None)
    )
    former = state.agents.get(application.leader)
    if former and former.leader:
        state.agents.put(replace(former, leader=False))
