"""List volumes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from actions import cluster
from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephFsCharm

__all__ = ["Params", "run"]


def run(charm: CephFsCharm, _params: Params) -> Outcome:
    """Return each volume with its path, size, limit and users.

    Raises:
        ActionError: Ceph does not answer.
    """
    with cluster(charm):
        found = [charm.mds.admin.volume(name) for name in charm.mds.admin.volumes()]
    volumes = [asdict(volume) for volume in found if volume]
    return Outcome(summary=f"{len(volumes)} volumes" if len(volumes) != 1 else "1 volume", result=volumes)
