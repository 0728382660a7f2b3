"""Tools about the application and its unit: configuration, leadership, network, goal, state, logs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from openinfra_model.core import configuration, find, machines, units
from openinfra_model.core.environment import API_PORT, resource_path, tag
from openinfra_model.core.errors import ToolError, UsageError
from openinfra_model.core.hooktools.tool import Call, Tool, ToolResult, require_words, settings

if TYPE_CHECKING:
    from openinfra_model.core.entities import Network, Relation, Unit


def _config_get(call: Call) -> Any:
    require_words(call, 0, 1, "key")
    values = configuration.options(call.state, call.application)
    if key := call.arguments.word(0):
        return values.get(key)
    if "all" in call.arguments.switches:
        return values
    return {name: value for name, value in values.items() if value is not None}


def _is_leader(call: Call) -> bool:
    require_words(call, 0, 0, "argument")
    return call.is_leader


def _network(call: Call) -> Network:
    network = call.state.machines[call.unit.machine].network
    if network is None:
        raise ToolError(f'no network config found for unit "{call.unit.name}"')
    return network


def _unit_get(call: Call) -> str:
    require_words(call, 1, 1, "setting")
    if call.arguments.word(0) not in ("private-address", "public-address"):
        raise UsageError(f'unknown setting "{call.arguments.word(0)}"')
    return _network(call).address


def _network_get(call: Call) -> Any:
    require_words(call, 1, 1, "arguments")
    if call.running.relation_gone:
        # Seen with 4.0.14, for whichever binding: Juju looks it up by the hook's relation.
        raise ToolError("relation not found")
    binding = call.arguments.word(0)
    charm = call.state.charm_of(call.application).charm
    if binding not in charm.endpoints and binding not in charm.extra_bindings:
        raise ToolError(f'no network config found for binding "{binding}"')
    network = _network(call)
    egress = configuration.address_settings(network)["egress-subnets"]
    parts = {
        "bind-address": network.address,
        "ingress-address": network.address,
        "egress-subnets": egress,
    }
    if wanted := [parts[name] for name in parts if name in call.arguments.switches]:
        return wanted[0] if len(wanted) == 1 else wanted
    addresses = [{"hostname": one, "value": one, "cidr": network.cidr} for one in network.addresses]
    interface = {"mac-address": network.mac, "interface-name": network.interface, "addresses": addresses}
    return {
        "bind-addresses": [interface],
        "egress-subnets": [egress],
        "ingress-addresses": list(network.addresses),
    }


def _goal_state(call: Call) -> dict[str, Any]:
    require_words(call, 0, 0, "argument")
    unit = call.unit
    members = [] if unit.principal else find.units_of(call.state, unit.application)
    found: dict[str, dict[str, Any]] = {}
    for relation in find.relations_of(call.state, unit.application):
        if relation.is_peer:
            continue
        other = relation.remote(unit.application).application
        goal = found.setdefault(relation.local(unit.application).name, {})
        goal[other] = {"status": relation.status.current, "since": _since(relation.status.since)}
        goal.update({remote.name: _goal(call, remote) for remote in _goal_units(call, relation, other)})
    return {"units": {member.name: _goal(call, member) for member in members}, "relations": found}


def _goal_units(call: Call, relation: Relation, other: str) -> list[Unit]:
    """Return the units that a relation will have; of a subordinate, those of this unit only."""
    if relation.scope == "container" and not call.unit.principal:
        return [unit for unit in units.subordinates(call.state, call.unit.name) if unit.application == other]
    return find.units_of(call.state, other)


def _goal(call: Call, unit: Unit) -> dict[str, str]:
    current = "dying" if unit.life != "alive" else machines.visible_workload(call.state, unit.name)
    return {"status": current, "since": _since(unit.workload.since)}


def _since(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _credential_get(call: Call) -> dict[str, str]:
    if not call.application.trusted:
        raise ToolError("cannot access cloud credentials: permission denied")
    return {"type": "lxd", "name": "localhost", "region": "localhost"}


def _resource_get(call: Call) -> ToolResult:
    require_words(call, 1, 1, "resource name")
    name = call.arguments.word(0)
    resource = call.application.resources.get(name)
    if resource is None:
        server = f"{_network(call).gateway}:{API_PORT}/model/{call.state.model.uuid}"
        raise ToolError(
            f"could not download resource: HTTP request failed: Get https://{server}/units/{tag(call.unit.name)}"
            f"/resources/{name}: getting UUID of resource {name} for application {call.application.name}: "
            "resource not found"
        )
    filename = call.state.charm_of(call.application).charm.resources[name].filename
    return ToolResult(stdout=resource_path(call.unit.name, filename), resource=resource)


def _log(call: Call) -> ToolResult:
    require_words(call, 1, None, "message")
    level = "DEBUG" if "debug" in call.arguments.switches else call.arguments.values.get("log-level", "INFO")
    return ToolResult(log=(level.upper(), " ".join(call.arguments.words)))


def _reboot(call: Call) -> ToolResult:
    require_words(call, 0, 0, "argument")
    if call.running.run.hook is None and not call.running.run.local:
        raise ToolError("juju-reboot is not supported when running an action.")
    if "now" in call.arguments.switches:
        return ToolResult(reboot=True)
    call.running.reboot = True
    return ToolResult()


def _state(call: Call) -> dict[str, str]:
    """Return the charm's own state with what this hook wrote."""
    if call.running.charm_state is None:
        call.running.charm_state = dict(call.unit.charm_state)
    return call.running.charm_state


def _state_get(call: Call) -> Any:
    require_words(call, 0, 1, "key")
    key = call.arguments.word(0)
    if key in ("", "-"):
        return _state(call)
    if key not in _state(call) and "strict" in call.arguments.switches:
        raise ToolError(f'"{key}" not found')
    return _state(call).get(key, "")


def _state_set(call: Call) -> None:
    _state(call).update(settings(call, call.arguments.words))


def _state_delete(call: Call) -> None:
    require_words(call, 1, 1, "key")
    _state(call).pop(call.arguments.word(0), None)


TOOLS = {
    "config-get": Tool(run=_config_get, switches=("all",), aliases={"a": "all"}, format="smart"),
    "is-leader": Tool(run=_is_leader, format="smart"),
    "unit-get": Tool(run=_unit_get, format="smart"),
    "network-get": Tool(
        run=_network_get,
        values=("relation",),
        aliases={"r": "relation"},
        switches=("bind-address", "ingress-address", "egress-subnets"),
        format="smart",
    ),
    "goal-state": Tool(run=_goal_state, format="yaml"),
    "credential-get": Tool(run=_credential_get, format="smart"),
    "resource-get": Tool(run=_resource_get),
    "juju-log": Tool(
        run=_log, values=("log-level", "format"), switches=("debug",), aliases={"l": "log-level"}
    ),
    "juju-reboot": Tool(run=_reboot, switches=("now",)),
    "state-get": Tool(run=_state_get, switches=("strict",), format="smart"),
    "state-set": Tool(run=_state_set, values=("file",)),
    "state-delete": Tool(run=_state_delete),
}
