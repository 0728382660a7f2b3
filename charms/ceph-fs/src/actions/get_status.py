"""Show the metadata servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actions import cluster
from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephFsCharm

__all__ = ["Params", "run"]


def run(charm: CephFsCharm, _params: Params) -> Outcome:
    """Return each metadata server with its state.

    Raises:
        ActionError: Ceph does not answer.
    """
    with cluster(charm):
        servers = charm.mds.admin.servers()
    active = sum(server.is_active for server in servers)
    return Outcome(
        summary=f"{active} metadata servers serve, {len(servers) - active} stand by",
        result={server.name: server.state for server in sorted(servers, key=lambda server: server.name)},
    )
