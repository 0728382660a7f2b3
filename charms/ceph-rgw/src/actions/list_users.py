"""List users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actions import cluster
from admin import AT_ONCE
from ceph_rgw import KEEPER
from pages import page

if TYPE_CHECKING:
    from admin import Admin
    from charm import CephRgwCharm
    from openinfra_charm.model.actions import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    limit: int = 100
    marker: str = ""


def run(charm: CephRgwCharm, params: Params) -> Outcome:
    """Return users, by name, each with what it keeps and may keep; as many as an action has time for.

    Raises:
        ActionError: Ceph does not answer.
    """
    admin = charm.rgw.admin
    with cluster(charm):
        names = [name for name in admin.users() if name != KEEPER]
        found = page(
            charm.machine,
            names,
            lambda name: _describe(admin, name),
            marker=params.marker,
            limit=params.limit,
        )
    return found.outcome("user", "users", f"juju run {charm.unit.name} list-users")


def _describe(admin: Admin, name: str) -> dict[str, Any] | None:
    user = admin.user(name)
    if user is None:
        return None
    quota = user["user_quota"]
    few = 0 < user["max_buckets"] <= AT_ONCE or len(admin.bucket_names(name)) <= AT_ONCE
    buckets = admin.buckets(name) if few else None
    tenant = f"{user['tenant']}$" if user.get("tenant") else ""
    return {
        "name": f"{tenant}{user['user_id'].removeprefix(tenant)}",
        "display-name": user["display_name"],
        "buckets": len(admin.bucket_names(name) if buckets is None else buckets),
        # Counting the bytes of so many buckets takes too long.
        "bytes": None if buckets is None else sum(one["bytes"] for one in buckets),
        "max-bytes": quota["max_size"] if quota["enabled"] else 0,
    }
