"""Make a key to a volume."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from actions import cluster, existing
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephFsCharm

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    volume: str
    client: str
    access: Literal["rw", "r"] = "rw"


def run(charm: CephFsCharm, params: Params) -> Outcome:
    """Make a key that is good for this volume only; it is in the result, and nowhere else outside Ceph.

    Raises:
        ActionError: There is no such volume, or a client of that name that was made otherwise (nothing has changed); or
            Ceph does not answer.
    """
    if not _NAME.fullmatch(params.client):
        raise ActionError(f"client={params.client}: expected letters, digits, . _ and -, at most 64")
    with cluster(charm):
        volume = existing(charm, params.volume)
        key = charm.mds.admin.authorize(params.volume, params.client, params.access)
    result = {
        "key": key, "user": f"client.{params.client}", "path": volume.path, "filesystem": charm.app.name,
        "monitors": list(charm.mds.monitors), "fsid": charm.mds.fsid,
    }  # fmt: skip
    return Outcome(summary=f"client.{params.client} may use {params.volume} ({params.access})", result=result)
