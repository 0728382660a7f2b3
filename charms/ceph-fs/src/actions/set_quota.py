"""Set what a volume may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import cluster, existing
from openinfra_charm.model.actions import Outcome, size

if TYPE_CHECKING:
    from charm import CephFsCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    name: str
    size: str = ""


def run(charm: CephFsCharm, params: Params) -> Outcome:
    """Set or lift a volume's limit.

    Raises:
        ActionError: There is no such volume, or the size is none (nothing has changed); or Ceph does not answer.
    """
    limit = size("size", params.size)
    with cluster(charm):
        existing(charm, params.name)
        charm.mds.admin.resize_volume(params.name, limit)
    return Outcome(summary=f"{params.name} may hold {params.size or 'any amount'}")
