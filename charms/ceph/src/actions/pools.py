"""Pools, and where their copies are put."""

from __future__ import annotations

from typing import TYPE_CHECKING

import crush
import pools
from actions import cluster_errors
from openinfra_charm.model.actions import ActionError, Outcome, failing_on
from rights import Owners

if TYPE_CHECKING:
    from charm import CephCharm


def create_pool(
    charm: CephCharm,
    *,
    name: str,
    replicas: int = 0,
    pg_num: int = 0,
    app_name: str = "rbd",
    device_class: str = "",
) -> Outcome:
    """Make a replicated pool unless it is there.

    Raises:
        ActionError: Ceph does not make such a pool.
    """
    if replicas < 0 or pg_num < 0:
        raise ActionError(f"replicas={replicas}, pg-num={pg_num}: expected 0 or more")
    with cluster_errors():
        made = pools.create_pool(
            charm.ceph.admin,
            name,
            replicas=replicas,
            pg_num=pg_num,
            application=app_name,
            device_class=device_class,
        )
    return Outcome(summary=f"pool {name} {'is made' if made else 'was there already; it is as it was'}")


def list_pools(charm: CephCharm) -> Outcome:
    """Show each pool's copies, placement groups and use."""
    with cluster_errors():
        listed = pools.list_pools(charm.ceph.admin)
    return Outcome(summary=f"{len(listed)} pools", result=listed)


def delete_pool(charm: CephCharm, *, name: str, confirm: str, dry_run: bool = False) -> Outcome:
    """Delete a pool and all data in it.

    Raises:
        ActionError: There is no such pool, or its name was not confirmed.
    """
    if confirm != name:
        raise ActionError(f"all data in pool {name} would be lost: say so with confirm={name}")
    with cluster_errors():
        there = {pool["name"]: pool for pool in pools.list_pools(charm.ceph.admin)}
        if name not in there:
            raise ActionError(f"there is no pool {name}; there are {', '.join(sorted(there))}")
        loss = f"{there[name]['objects']} objects, {there[name]['stored-bytes']} bytes"
        if dry_run:
            return Outcome(summary=f"would delete pool {name} with {loss}", result=there[name])
        pools.delete_pool(charm.ceph.admin, name)
        Owners(charm.ceph.admin).forget(name)
    return Outcome(summary=f"deleted pool {name} with {loss}")


def list_crush_rules(charm: CephCharm) -> Outcome:
    """Show each CRUSH rule's failure domain and the pools that use it."""
    with cluster_errors():
        listed = crush.rules(charm.ceph.admin)
    return Outcome(summary=f"{len(listed)} rules", result=listed)


def set_failure_domain(charm: CephCharm, *, domain: str, dry_run: bool = True) -> Outcome:
    """Change the rule of all replicated pools, or report how much data that would move.

    Raises:
        ActionError: There are fewer such domains than a pool has copies.
    """
    with cluster_errors(), failing_on(crush.CrushError, words=f"domain={domain}: {{}}"):
        move = crush.plan_failure_domain(charm.machine, charm.ceph.admin, domain)
        if dry_run:
            text = f"{move} would move; set dry-run=false to do it"
            return Outcome(summary=text, result={"bytes-to-move": move.moved})
        crush.set_failure_domain(charm.ceph.admin, domain)
    return Outcome(summary=f"copies go to different {domain}s now; {move} to move")
