"""Stop this unit's gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import NoParams as Params

if TYPE_CHECKING:
    from charm import CephRgwCharm
    from openinfra_charm.model.actions import Outcome

__all__ = ["Params", "run"]


def run(charm: CephRgwCharm, _params: Params) -> Outcome:
    """Stop this machine's object gateway, also over its restarts, until `resume`; other units serve on.

    Raises:
        ActionError: Another unit has the machine's gateway.
    """
    charm.owned.require("pause")
    return charm.paused.begin()
