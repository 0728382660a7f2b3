"""Go on with what has stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError, NoParams, Outcome, require_leader

if TYPE_CHECKING:
    from charm import HostCharm

Params = NoParams


def run(charm: HostCharm, _: Params) -> Outcome:
    """Have the machines whose request failed try again."""
    require_leader(charm, "resume-roll")
    units = charm.roll.units_in("failed")
    if not units:
        raise ActionError("nothing has failed: there is nothing to resume")
    charm.roll.order_resume()
    return Outcome(summary=f"{', '.join(units)} will try again", result={"units": units})
