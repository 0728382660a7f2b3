"""Pools: making, listing and deleting them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import crush

if TYPE_CHECKING:
    from admin import Admin


def create_pool(
    admin: Admin, name: str, *, replicas: int = 0, pg_num: int = 0, application: str, device_class: str = ""
) -> bool:
    """Make a replicated pool unless it is there; return whether it was made.

    Args:
        admin: The cluster.
        name: The pool's name.
        replicas: Copies of each object; 0: the cluster's default.
        pg_num: Placement groups; 0: the cluster's default.
        application: What uses it (`rbd`, `rgw`, `cephfs`, ...).
        device_class: Only OSDs of this CRUSH device class; empty: all.

    Raises:
        CommandRefusedError: Ceph does not make such a pool.
    """
    if name in admin.command("osd pool ls"):
        return False
    wanted: dict[str, Any] = {"pool": name, "pool_type": "replicated"}
    if pg_num:
        wanted |= {"pg_num": pg_num, "pgp_num": pg_num}
    if replicas:
        wanted["size"] = replicas
    if device_class:
        wanted["rule"] = crush.rule_for(admin, device_class=device_class)
    admin.command("osd pool create", **wanted)
    admin.command("osd pool application enable", pool=name, app=application)
    return True


def fit_pool(admin: Admin, name: str, *, replicas: int = 0, device_class: str = "") -> None:
    """Change how many copies a pool keeps, and on disks of which class, where that is said and another; data move then.

    Raises:
        CommandRefusedError: Ceph does not take it.
    """
    pool = next(one for one in crush.pools_of(admin) if one["pool_name"] == name)
    if replicas and pool["size"] != replicas:
        admin.command("osd pool set", pool=name, var="size", val=str(replicas))
    now = next((rule for rule in crush.rules(admin) if rule["id"] == pool["crush_rule"]), None)
    if device_class and now and now["device-class"] != device_class:
        rule = crush.rule_for(admin, now["failure-domain"], device_class)
        admin.command("osd pool set", pool=name, var="crush_rule", val=rule)


def list_pools(admin: Admin) -> list[dict[str, Any]]:
    """Return the pools: name, copies, placement groups, applications, bytes stored and used, objects."""
    stats = {pool["name"]: pool["stats"] for pool in admin.command("df")["pools"]}
    return [
        {
            "name": pool["pool_name"],
            "size": pool["size"],
            "min-size": pool["min_size"],
            "pg-num": pool["pg_num"],
            "applications": sorted(pool["application_metadata"]),
            "stored-bytes": stats.get(pool["pool_name"], {}).get("stored", 0),
            "used-bytes": stats.get(pool["pool_name"], {}).get("bytes_used", 0),
            "objects": stats.get(pool["pool_name"], {}).get("objects", 0),
        }
        for pool in crush.pools_of(admin)
    ]


def delete_pool(admin: Admin, name: str) -> None:
    """Delete a pool with all its data; the switch that allows it is on only for that moment.

    Raises:
        CommandRefusedError: Ceph does not delete it.
    """
    admin.command("config set", who="mon", name="mon_allow_pool_delete", value="true")
    try:
        admin.command("osd pool delete", pool=name, pool2=name, yes_i_really_really_mean_it=True)
    finally:
        admin.command("config rm", who="mon", name="mon_allow_pool_delete")
