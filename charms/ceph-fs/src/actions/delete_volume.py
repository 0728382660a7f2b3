"""Delete a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import cluster, existing
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephFsCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    name: str
    dry_run: bool = True


def run(charm: CephFsCharm, params: Params) -> Outcome:
    """Delete a volume with all that is in it, and the keys to it.

    Raises:
        ActionError: There is no such volume (nothing has changed), or Ceph does not do it.
    """
    with cluster(charm):
        volume = existing(charm, params.name)
        keys = ", ".join(f"client.{user}" for user in sorted(volume.clients)) or "nobody"
        what = f"{volume.used} bytes in {params.name}, which {keys} may use"
        if params.dry_run:
            return Outcome(summary=f"{what}, would be lost; set dry-run=false to do it")
        charm.mds.admin.delete_volume(volume)
    return Outcome(summary=f"volume {params.name} is gone")
