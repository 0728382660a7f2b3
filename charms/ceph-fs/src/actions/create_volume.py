"""Make a volume."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import cluster
from openinfra_charm.model.actions import ActionError, Outcome, size

if TYPE_CHECKING:
    from charm import CephFsCharm

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    name: str
    size: str = ""


def run(charm: CephFsCharm, params: Params) -> Outcome:
    """Make a volume, and return its path.

    Raises:
        ActionError: The name or the size cannot be used, or the name is taken (nothing has changed); or Ceph refuses.
    """
    if not _NAME.fullmatch(params.name):
        raise ActionError(f"name={params.name}: expected letters, digits, . _ and -, at most 64")
    limit = size("size", params.size)
    with cluster(charm):
        if params.name in charm.mds.admin.volumes():
            raise ActionError(f"there is a volume {params.name} already; see list-volumes")
        charm.mds.admin.create_volume(params.name, limit)
        volume = charm.mds.admin.volume(params.name)
    return Outcome(
        summary=f"volume {params.name} is made; make a key to it with authorize",
        result={"path": volume.path if volume else ""},
    )
