"""CephFS: making file systems and setting what they do with their metadata servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from admin import Admin


class OtherPoolsError(Exception):
    """There is a file system of that name with other data."""


def make(
    admin: Admin, name: str, *, metadata_pool: str, data_pool: str, active: int, standby_replay: bool
) -> None:
    """Make a file system unless it is there, and have it use its metadata servers as wanted.

    Args:
        admin: The cluster.
        name: The file system's name.
        metadata_pool: Its pool for names; it must be there, and nothing in it.
        data_pool: Its pool for content; the same.
        active: The most metadata servers that serve at once.
        standby_replay: Whether a spare one follows each of them, to take over sooner.

    Raises:
        OtherPoolsError: There is one of that name on other pools.
        CommandRefusedError: Ceph does not make it.
    """
    known = {entry["name"]: entry for entry in admin.command("fs ls")}
    if name not in known:
        admin.command("fs new", fs_name=name, metadata=metadata_pool, data=data_pool)
    elif known[name]["metadata_pool"] != metadata_pool or data_pool not in known[name]["data_pools"]:
        raise OtherPoolsError(
            f"mds_name={name}: another file system, on {known[name]['metadata_pool']}; name another"
        )
    now = admin.command("fs get", fs_name=name)["mdsmap"]
    if now["max_mds"] != active:
        admin.command("fs set", fs_name=name, var="max_mds", val=str(active))
    if now["flags_state"]["allow_standby_replay"] != standby_replay:
        value = "true" if standby_replay else "false"
        admin.command("fs set", fs_name=name, var="allow_standby_replay", val=value)


def take_down(admin: Admin) -> None:
    """Take all file systems down, as no metadata server is left; `make` has them served again.

    Their data stay. Without this the cluster's health would be an error until somebody serves them.
    """
    for entry in admin.command("fs ls"):
        admin.command("fs set", fs_name=entry["name"], var="down", val="true")
