"""List pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pools
from actions import cluster
from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephCharm

__all__ = ["Params", "run"]


def run(charm: CephCharm, _params: Params) -> Outcome:
    """Tell of each pool its copies, placement groups and use.

    Raises:
        ActionError: The cluster does not answer.
    """
    with cluster():
        listed = pools.list_pools(charm.ceph.admin)
    return Outcome(summary=f"{len(listed)} pools", result=listed)
