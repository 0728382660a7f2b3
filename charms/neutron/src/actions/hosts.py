"""The machines that have networks: their agents, and what is left of one that is gone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import CommandError
from openinfra_charm.model.actions import ActionError, Outcome
from openinfra_charm.openstack.programs import last_line

if TYPE_CHECKING:
    from charm import NeutronCharm

_SECONDS = 50


def list_agents(charm: NeutronCharm) -> Outcome:
    """List them by their hosts.

    Raises:
        ActionError: Neutron does not answer here.
    """
    found = _agents(charm, "list")
    alive = sum(agent["alive"] for agent in found)
    words = ", ".join(f"{agent['kind']} on {agent['host']}" for agent in found if not agent["alive"])
    return Outcome(
        summary=f"{alive} of {len(found)} agents are alive{f'; not: {words}' if words else ''}", result=found
    )


def forget_host(charm: NeutronCharm, *, host: str, dry_run: bool = True) -> Outcome:
    """Remove the agents of a host, with its chassis.

    Raises:
        ActionError: There is no such host, or it is alive, or Neutron does not answer here; nothing was changed.
    """
    found = _agents(charm, "list")
    mine = [agent for agent in found if agent["host"] == host]
    if not mine:
        known = ", ".join(sorted({agent["host"] for agent in found})) or "none"
        raise ActionError(f"host={host}: there is no such host; there are: {known}")
    if alive := [agent for agent in mine if agent["alive"]]:
        raise ActionError(
            f"host={host}: its {alive[0]['kind']} is alive, and would be there again at once: remove its units first"
        )
    words = ", ".join(agent["kind"] for agent in mine)
    if dry_run:
        return Outcome(
            summary=f"would be removed of {host}: {words}; with dry-run=false they are", result=mine
        )
    removed = _agents(charm, "delete", host)
    return Outcome(summary=f"removed of {host}: {words}", result=removed)


def _agents(charm: NeutronCharm, *words: str) -> list[dict[str, Any]]:
    workload = charm.service.workload
    program = f"{workload.api.modules}/openinfra_agents.py"
    place = (workload.config_path, workload.api.socket)
    try:
        said = workload.programs.run("python", program, *place, *words, seconds=_SECONDS)
    except (CommandError, TimeoutError) as error:
        raise ActionError(f"Neutron does not answer here: {last_line(error)}") from error
    agents: list[dict[str, Any]] = json.loads(said)
    return agents
