"""Stop this unit's metadata server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError

if TYPE_CHECKING:
    from charm import CephFsCharm
    from openinfra_charm.model.actions import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    force: bool = False


def run(charm: CephFsCharm, params: Params) -> Outcome:
    """Stop this machine's metadata server, also over its restarts, until `resume`.

    Raises:
        ActionError: Another unit has the machine's server; or no other one can take over, and `force` is not set.
    """
    charm.owned.require("pause")
    if not params.force and (reason := charm.mds.why_not_to_stop()):
        raise ActionError(f"{reason}; force=true stops it nevertheless")
    return charm.paused.begin()
