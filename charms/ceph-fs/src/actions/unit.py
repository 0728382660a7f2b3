"""The metadata servers: how they are, and this unit's stopped and started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actions import cluster
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephFsCharm


def get_status(charm: CephFsCharm) -> Outcome:
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


def pause(charm: CephFsCharm, *, force: bool = False) -> Outcome:
    """Stop this machine's metadata server, also over its restarts, until `resume`.

    Raises:
        ActionError: Another unit owns the machine's server; or no other one can take over, and `force` is not set.
    """
    charm.owned.require("pause")
    if not force and (reason := charm.mds.why_not_to_stop()):
        raise ActionError(f"{reason}; force=true stops it nevertheless")
    return charm.paused.begin()


def resume(charm: CephFsCharm) -> Outcome:
    """Start this machine's metadata server after `pause`."""
    return charm.paused.end()
