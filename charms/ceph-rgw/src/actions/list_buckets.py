"""List buckets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import cluster, existing
from admin import AT_ONCE
from ceph_rgw import KEEPER
from pages import page

if TYPE_CHECKING:
    from charm import CephRgwCharm
    from openinfra_charm.model.actions import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    user: str = ""
    limit: int = 100
    marker: str = ""


def run(charm: CephRgwCharm, params: Params) -> Outcome:
    """Return buckets, by name, with their owners, sizes and numbers of objects; as many as an action has time for.

    Raises:
        ActionError: There is no such user, or Ceph does not answer.
    """
    admin = charm.rgw.admin
    with cluster(charm):
        if params.user:
            existing(charm, params.user)
        names = admin.bucket_names(params.user)
        if len(names) <= AT_ONCE:
            known = {one["name"]: one for one in admin.buckets(params.user) if one["owner"] != KEEPER}
            names, describe = sorted(known), known.get
        else:
            names, describe = [name for name in names if name != charm.rgw.health_bucket], admin.bucket
        found = page(charm.machine, names, describe, marker=params.marker, limit=params.limit)
    of_user = f" user={params.user}" if params.user else ""
    return found.outcome("bucket", "buckets", f"juju run {charm.unit.name} list-buckets{of_user}")
