"""Limit what a user may keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import cluster, existing
from openinfra_charm.model.actions import Outcome, size

if TYPE_CHECKING:
    from charm import CephRgwCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    user: str
    max_size: str = ""


def run(charm: CephRgwCharm, params: Params) -> Outcome:
    """Set or lift the limit.

    Raises:
        ActionError: There is no such user, or the size is none (nothing has changed); or Ceph does not answer.
    """
    limit = size("max-size", params.max_size)
    with cluster(charm):
        existing(charm, params.user)
        charm.rgw.admin.set_quota(params.user, limit)
    return Outcome(summary=f"{params.user} may keep {params.max_size or 'any amount'}")
