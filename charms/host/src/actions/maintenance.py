"""Hold the lock for work by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import checks
from actions.roll import require_no_request, require_owner
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import HostCharm


def maintenance(charm: HostCharm, *, mode: Literal["enter", "leave", "dry-run"]) -> Outcome:
    """Enter or leave maintenance, or only ask whether the machine may stop."""
    match mode:
        case "enter":
            return _enter(charm)
        case "leave":
            return _leave(charm)
        case "dry-run":
            return _ask(charm)


def _ask(charm: HostCharm) -> Outcome:
    reasons = checks.failures(charm.machine, "safe-to-stop")
    summary = f"not safe to stop: {checks.sentence(reasons)}" if reasons else "safe to stop"
    return Outcome(summary=summary, result={"safe": not reasons, "reasons": reasons})


def _enter(charm: HostCharm) -> Outcome:
    require_owner(charm)
    require_no_request(charm, charm.unit.name)
    if reasons := checks.failures(charm.machine, "safe-to-stop"):
        raise ActionError(f"not safe to stop: {checks.sentence(reasons)}")
    charm.roll.make_request("maintenance")
    return _outcome(charm)


def _leave(charm: HostCharm) -> Outcome:
    request = charm.roll.request
    if request is None or request.kind != "maintenance":
        raise ActionError(f"{charm.unit.name} is not in maintenance")
    charm.roll.leave_maintenance()
    return _outcome(charm)


def _outcome(charm: HostCharm) -> Outcome:
    unit, request = charm.unit.name, charm.roll.request
    state = request.state if request else "left"
    words = {
        "entered": f"{unit} is in maintenance: no other machine stops until it leaves",
        "waiting": f"{unit} waits for the lock: do not begin before its status says maintenance",
        "failed": f"{unit} could not go on: {request.reason if request else ''}",
        "verifying": "waiting until all applications are healthy, then the lock passes on",
        "left": f"{unit} is not in maintenance any more",
    }
    return Outcome(summary=words[state], result={"state": state})
