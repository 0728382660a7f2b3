"""List CRUSH rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import crush
from actions import cluster
from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephCharm

__all__ = ["Params", "run"]


def run(charm: CephCharm, _params: Params) -> Outcome:
    """Tell of each rule its failure domain and the pools that use it.

    Raises:
        ActionError: The cluster does not answer.
    """
    with cluster():
        listed = crush.rules(charm.ceph.admin)
    return Outcome(summary=f"{len(listed)} rules", result=listed)
