"""Stop this unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import NoParams, Outcome

if TYPE_CHECKING:
    from charm import KeystoneCharm

Params = NoParams
DRAIN_SECONDS = 10
"""How long the gateway may take to see that this unit's health has failed."""


def run(charm: KeystoneCharm, _: Params) -> Outcome:
    """Fail this unit's health so that the gateway sends it nothing more, then stop it until `resume`."""
    if not charm.keystone.api.paused:
        charm.keystone.api.drain()
        if charm.served:
            charm.machine.sleep(DRAIN_SECONDS)
    charm.keystone.stop()
    return Outcome(summary=f"paused; start it again with: juju run {charm.unit.name} resume")
