"""Make an S3 user."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import cluster
from openinfra_charm.model.actions import ActionError, Outcome, size

if TYPE_CHECKING:
    from charm import CephRgwCharm

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    name: str
    display_name: str = ""
    max_size: str = ""


def run(charm: CephRgwCharm, params: Params) -> Outcome:
    """Make a user; its keys are in the result, and nowhere else outside Ceph.

    Raises:
        ActionError: The name or the size cannot be used, or is taken (nothing has changed); or Ceph refuses.
    """
    if not _NAME.fullmatch(params.name):
        raise ActionError(f"name={params.name}: expected letters, digits, . _ and -, at most 64")
    limit = size("max-size", params.max_size)
    with cluster(charm):
        if charm.rgw.admin.user(params.name):
            raise ActionError(f"there is a user {params.name} already; see list-users")
        keys = charm.rgw.admin.create_user(params.name, params.display_name or params.name)
        if limit:
            charm.rgw.admin.set_quota(params.name, limit)
    result = {"access-key": keys.access, "secret-key": keys.secret}
    return Outcome(summary=f"user {params.name} is made", result=result)
