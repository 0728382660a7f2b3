"""Drop what waits or has stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError, NoParams, Outcome, require_leader

if TYPE_CHECKING:
    from charm import HostCharm

Params = NoParams


def run(charm: HostCharm, _: Params) -> Outcome:
    """Drop all requests that wait or have failed; those under way come to their end."""
    require_leader(charm, "cancel-roll")
    units = charm.roll.units_in("waiting", "failed")
    if not units:
        raise ActionError("nothing waits and nothing has failed: there is nothing to cancel")
    charm.roll.order_cancel()
    return Outcome(summary=f"cancelled for {', '.join(units)}", result={"units": units})
