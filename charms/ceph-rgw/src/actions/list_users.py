"""List users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actions import cluster
from ceph_rgw import KEEPER
from openinfra_charm.actions import NoParams as Params
from openinfra_charm.actions import Outcome

if TYPE_CHECKING:
    from charm import CephRgwCharm

__all__ = ["Params", "run"]


def run(charm: CephRgwCharm, _params: Params) -> Outcome:
    """Return each user with what it keeps and may keep.

    Raises:
        ActionError: Ceph does not answer.
    """
    with cluster(charm):
        buckets = charm.rgw.admin.buckets()
        known = {name: charm.rgw.admin.user(name) for name in charm.rgw.admin.users() if name != KEEPER}
    users = [
        _describe(user, [one for one in buckets if one["owner"] == name])
        for name, user in known.items()
        if user
    ]
    return Outcome(summary=f"{len(users)} users" if len(users) != 1 else "1 user", result=users)


def _describe(user: dict[str, Any], buckets: list[dict[str, Any]]) -> dict[str, Any]:
    tenant = f"{user['tenant']}$" if user.get("tenant") else ""
    quota = user["user_quota"]
    return {
        "name": f"{tenant}{user['user_id'].removeprefix(tenant)}",
        "display-name": user["display_name"],
        "buckets": len(buckets),
        "bytes": sum(one["bytes"] for one in buckets),
        "max-bytes": quota["max_size"] if quota["enabled"] else 0,
    }
