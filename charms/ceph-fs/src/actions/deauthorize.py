"""Take a key to a volume away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import cluster, existing
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephFsCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    volume: str
    client: str


def run(charm: CephFsCharm, params: Params) -> Outcome:
    """Take a client's right to a volume, and cut it off where it uses it; its key goes with its last volume.

    Raises:
        ActionError: There is no such volume, or the client may not use it (nothing has changed); or Ceph does not answer.
    """
    with cluster(charm):
        volume = existing(charm, params.volume)
        if params.client not in volume.clients:
            raise ActionError(f"client.{params.client} may not use {params.volume}; see list-volumes")
        charm.mds.admin.deauthorize(params.volume, params.client)
    return Outcome(summary=f"client.{params.client} may no longer use {params.volume}")
