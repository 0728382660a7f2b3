"""The action `rollback-release` of every charm whose releases `openinfra_charm.openstack.upgrade` keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome, require_leader

if TYPE_CHECKING:
    from openinfra_charm.openstack.upgrade import WithUpgrade

__all__ = ["Params", "run"]


def run(charm: WithUpgrade, _params: Params) -> Outcome:
    """Begin to take all units back to the release before, and do what is due at once.

    Raises:
        ActionError: This is not the leader, or there is no way back.
    """
    require_leader(charm, "rollback-release")
    charm.upgrade.roll_back()
    charm.upgrade.go_on()
    return Outcome(summary=charm.upgrade.progress() or "all units are back", result=charm.upgrade.report())
