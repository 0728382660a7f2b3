"""Delete a pool and all data in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pools
from actions import cluster
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    name: str
    confirm: str
    dry_run: bool = False


def run(charm: CephCharm, params: Params) -> Outcome:
    """Delete the pool.

    Raises:
        ActionError: There is no such pool, or its name was not confirmed.
    """
    if params.confirm != params.name:
        raise ActionError(f"all data in pool {params.name} would be lost: say so with confirm={params.name}")
    with cluster():
        there = {pool["name"]: pool for pool in pools.list_pools(charm.ceph.admin)}
        if params.name not in there:
            raise ActionError(f"there is no pool {params.name}; there are {', '.join(sorted(there))}")
        loss = f"{there[params.name]['objects']} objects, {there[params.name]['stored-bytes']} bytes"
        if params.dry_run:
            return Outcome(summary=f"would delete pool {params.name} with {loss}", result=there[params.name])
        pools.delete_pool(charm.ceph.admin, params.name)
    return Outcome(summary=f"deleted pool {params.name} with {loss}")
