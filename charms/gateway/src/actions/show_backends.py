"""Show the backends as HAProxy sees them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from haproxy import NoAnswerError
from openinfra_charm.model.actions import ActionError, NoParams, Outcome

if TYPE_CHECKING:
    from charm import GatewayCharm

Params = NoParams


def run(charm: GatewayCharm, _: Params) -> Outcome:
    """Show each backend's health, its reason, since when, and its sessions.

    Raises:
        ActionError: HAProxy does not answer, or another unit's runs on this machine.
    """
    charm.owned.require("show-backends")
    try:
        servers = charm.gateway.servers()
    except NoAnswerError as error:
        raise ActionError(f"{error}; see the status of {charm.unit.name}") from error
    healthy = sum(server.status.startswith("UP") or server.status == "no check" for server in servers)
    down = [f"{server.route}/{server.server}" for server in servers if server.status.startswith("DOWN")]
    summary = f"{healthy} of {len(servers)} backends are up" + (f"; down: {', '.join(down)}" if down else "")
    return Outcome(summary=summary, result=[asdict(server) for server in servers])
