"""Start a paused unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError, NoParams, Outcome

if TYPE_CHECKING:
    from charm import KeystoneCharm

Params = NoParams
START_SECONDS = 40


def run(charm: KeystoneCharm, _: Params) -> Outcome:
    """Start this unit, and have it take requests again.

    Raises:
        ActionError: It was not paused, or it does not get healthy.
    """
    if not charm.keystone.api.paused:
        raise ActionError(f"{charm.unit.name} is not paused")
    charm.keystone.api.undrain()
    charm.keystone.apply()
    if why := charm.keystone.api.problem(START_SECONDS):
        raise ActionError(f"it is started, but {why}; see its status")
    return Outcome(summary=f"{charm.unit.name} serves again")
