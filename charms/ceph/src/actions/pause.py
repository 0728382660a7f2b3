"""Stop this unit's daemons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import health
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    force: bool = False


def run(charm: CephCharm, params: Params) -> Outcome:
    """Stop all Ceph daemons of this machine, also over its restarts, until `resume`.

    Raises:
        ActionError: Clients would have to wait, and `force` is not set.
    """
    if not params.force and (reason := health.why_not_to_stop(charm.ceph)):
        raise ActionError(f"{reason}; force=true stops the daemons nevertheless")
    charm.ceph.pause()
    return Outcome(summary=f"paused; start it again with: juju run {charm.unit.name} resume")
