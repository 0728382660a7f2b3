"""List buckets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import cluster, existing
from ceph_rgw import KEEPER
from openinfra_charm.actions import Outcome

if TYPE_CHECKING:
    from charm import CephRgwCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    user: str = ""


def run(charm: CephRgwCharm, params: Params) -> Outcome:
    """Return buckets with their owners, sizes and numbers of objects.

    Raises:
        ActionError: There is no such user, or Ceph does not answer.
    """
    with cluster(charm):
        if params.user:
            existing(charm, params.user)
        buckets = [one for one in charm.rgw.admin.buckets(params.user) if one["owner"] != KEEPER]
    return Outcome(summary=f"{len(buckets)} buckets" if len(buckets) != 1 else "1 bucket", result=buckets)
