"""The action `finish-upgrade` of every charm whose releases `openinfra_charm.openstack.upgrade` keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model.actions import Outcome, require_leader

if TYPE_CHECKING:
    from openinfra_charm.openstack.upgrade import WithUpgrade


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Whether only to tell if it could be done."""

    dry_run: bool = False


def run(charm: WithUpgrade, params: Params) -> Outcome:
    """Remove from the schema what only the old release needs: from then on a backup is the only way back.

    Raises:
        ActionError: This is not the leader, or not all units run the new release.
    """
    require_leader(charm, "finish-upgrade")
    charm.upgrade.finish(dry_run=params.dry_run)
    if params.dry_run:
        return Outcome(
            summary="all units run the new release: it can be finished, and then only a backup leads back",
            result=charm.upgrade.report(),
        )
    charm.upgrade.go_on()
    return Outcome(
        summary=charm.upgrade.progress() or "the upgrade is finished", result=charm.upgrade.report()
    )
