"""Create a replicated pool."""

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
    replicas: int = 0
    pg_num: int = 0
    app_name: str = "rbd"
    device_class: str = ""


def run(charm: CephCharm, params: Params) -> Outcome:
    """Make the pool unless it is there.

    Raises:
        ActionError: Ceph does not make such a pool.
    """
    if params.replicas < 0 or params.pg_num < 0:
        raise ActionError(f"replicas={params.replicas}, pg-num={params.pg_num}: expected 0 or more")
    with cluster():
        made = pools.create_pool(
            charm.ceph.admin,
            params.name,
            replicas=params.replicas,
            pg_num=params.pg_num,
            application=params.app_name,
            device_class=params.device_class,
        )
    return Outcome(
        summary=f"pool {params.name} {'is made' if made else 'was there already; it is as it was'}"
    )
