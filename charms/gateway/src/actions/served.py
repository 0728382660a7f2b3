"""What this gateway serves, and how its backends are."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import state as states
from haproxy import NoAnswerError
from openinfra_charm.model.actions import ActionError, Outcome, failing_on
from state import Config

if TYPE_CHECKING:
    from charm import GatewayCharm


def list_routes(charm: GatewayCharm) -> Outcome:
    """List which routes there are, and which are refused.

    Raises:
        ActionError: There is no address yet.
        ConfigError: An option cannot be used.
    """
    config = Config.parse(charm.config)
    served, problems = charm.routes
    networks = charm.networks()
    if networks is None:
        raise ActionError(f"Juju has given {charm.unit.name} no addresses yet: see its status")
    cannot = tuple(charm.gateway.cannot_listen(networks.listen(config), served))
    problems += [refusal.reason for refusal in cannot]
    served = tuple(asked for asked in served if asked not in {refusal.asked for refusal in cannot})
    routes = [
        {
            "route": states.name(asked),
            "application": asked.application,
            "endpoints": public,
            "internal-endpoints": internal or public,
            "backends": [
                f"{backend.name} {backend.address}:{asked.route.backend_port}" for backend in asked.backends
            ],
            "single": asked.route.single,
            "drained": [
                one.name for one in asked.backends if any(d.covers(asked, one.name) for d in charm.drains)
            ],
        }
        for asked in served
        for public, internal in [charm.endpoints(asked, config, networks)]
    ]
    vips = [str(vip.ip) for vip in config.vips]
    holds = charm.gateway.holds(vips)
    refused = f", {len(problems)} refused" if problems else ""
    holder = f"; {charm.unit.name} has {', '.join(vips)}" if holds else ""
    result = {"routes": routes, "refused": problems, "holds-vip": holds}
    return Outcome(summary=f"{len(routes)} routes{refused}{holder}", result=result)


def show_backends(charm: GatewayCharm) -> Outcome:
    """Show each backend's health, its reason, since when, and its sessions.

    Raises:
        ActionError: HAProxy does not answer, or another unit owns this machine's.
    """
    charm.owned.require("show-backends")
    with failing_on(NoAnswerError, words=f"{{}}; see the status of {charm.unit.name}"):
        servers = charm.gateway.servers()
    healthy = sum(server.status.startswith("UP") or server.status == "no check" for server in servers)
    down = [f"{server.route}/{server.server}" for server in servers if server.status.startswith("DOWN")]
    summary = f"{healthy} of {len(servers)} backends are up" + (f"; down: {', '.join(down)}" if down else "")
    return Outcome(summary=summary, result=[asdict(server) for server in servers])
