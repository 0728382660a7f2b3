"""The action `upgrade-release` of every charm whose releases `openinfra_charm.openstack.upgrade` keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model.actions import Outcome, require_leader

if TYPE_CHECKING:
    from openinfra_charm.openstack.upgrade import WithUpgrade


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The release to come, which Juju takes for a number, and how the operator calls the backup of the database."""

    release: float
    backup: str = ""


def run(charm: WithUpgrade, params: Params) -> Outcome:
    """Begin an upgrade, or try again what has failed, and do what is due at once.

    Raises:
        ActionError: This is not the leader, or the upgrade cannot begin.
    """
    require_leader(charm, f"upgrade-release release={params.release} backup={params.backup}")
    release = str(params.release)
    charm.upgrade.begin(release, params.backup)
    charm.upgrade.go_on()
    words = charm.upgrade.progress() or f"{release} is tried again where it failed"
    return Outcome(summary=words, result=charm.upgrade.report())
