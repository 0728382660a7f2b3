"""The model as `juju status --format json` shows it (structure recorded from Juju 4.0.15)."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from openinfra_model import JUJU_VERSION
from openinfra_model.core import configuration, find, history, leadership, machines, ports, units
from openinfra_model.core.entities import Status
from openinfra_model.core.severity import application_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openinfra_model.core.entities import Application, Machine, Storage, Unit
    from openinfra_model.core.state import State

CONTROLLER = "openinfra"
CLOUD = "localhost"
AGENT_LOST = "agent lost, see `juju debug-logs` or `juju show-status-log` for more information"


def timestamp(moment: float) -> str:
    """Return a time as Juju's status writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%d %b %Y %H:%M:%SZ")


def full(state: State, now: float, *, applications: Sequence[str] = ()) -> dict[str, Any]:
    """Return the status, of all or, as `juju status APPLICATION` recorded, of some applications.

    Then all machines are shown, relations only among these applications, and no storage. What Juju makes of a name that
    no application has was not seen: it is refused.

    Raises:
        ModelError: if one of the applications is not there.
    """
    shown = {find.application(state, name).name for name in applications} or {
        application.name for application in state.applications
    }
    model = state.model
    current = "available" if model.life == "alive" else "destroying"
    return {
        "model": {
            "name": model.name,
            "type": "iaas",
            "controller": CONTROLLER,
            "cloud": CLOUD,
            "region": CLOUD,
            "version": JUJU_VERSION,
            "model-status": {"current": current, "since": timestamp(model.created)},
        },
        "machines": {machine.id: _machine(machine) for machine in _by_id(state)},
        "applications": {
            name: _application(state, state.applications[name], shown) for name in sorted(shown)
        },
        "storage": {} if applications else storage(state),
        "controller": {"timestamp": datetime.fromtimestamp(now, UTC).strftime("%H:%M:%SZ")},
    }


def _by_id(state: State) -> list[Machine]:
    return sorted(state.machines, key=lambda machine: int(machine.id))


def _status(status: Status, **more: str) -> dict[str, Any]:
    found: dict[str, Any] = {"current": status.current}
    if status.message:
        found["message"] = status.message
    return {**found, "since": timestamp(status.since), **more}


def _machine(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = {"juju-status": _status(machine.agent, life=machine.life)}
    if machine.hostname:
        found["hostname"] = machine.hostname
    if machine.network:
        found["dns-name"] = machine.network.address
        found["ip-addresses"] = list(machine.network.addresses)
    found["instance-id"] = machine.instance_id or "pending"
    instance = {
        "current": machine.instance.current,
        "message": machine.instance.message,
        "life": machine.life,
    }
    found["machine-status"] = {key: value for key, value in instance.items() if value}
    found["modification-status"] = {}
    found["base"] = _base(machine.base)
    if network := machine.network:
        prefix = ipaddress.ip_network(network.cidr, strict=False).prefixlen
        found["network-interfaces"] = {
            network.interface: {
                "ip-addresses": list(network.held) or [f"{network.address}/{prefix}"],
                "mac-address": network.mac,
                "gateway": network.gateway,
                "space": configuration.SPACE,
                "is-up": machine.present,
            }
        }
    if machine.constraints:
        found["constraints"] = machine.constraints
    if machine.hardware:
        found["hardware"] = machine.hardware
    return found


def _base(base: str) -> dict[str, str]:
    name, _, channel = base.partition("@")
    return {"name": name, "channel": channel}


def _application(state: State, application: Application, shown: set[str]) -> dict[str, Any]:
    stored = state.charm_of(application)
    found: dict[str, Any] = {
        "charm": stored.url,
        "base": _base(application.base),
        "charm-origin": "local",
        "charm-name": stored.charm.name,
        "charm-rev": stored.revision,
        "exposed": application.exposed,
        "life": application.life,
        "application-status": _status(application_status(state, application)),
        "relations": _relations(state, application.name, shown),
    }
    if stored.charm.version:
        found["charm-version"] = stored.charm.version
    if stored.charm.subordinate:
        found["subordinate-to"] = _principals(state, application.name)
    else:
        found["units"] = {unit.name: _unit(state, unit) for unit in find.units_of(state, application.name)}
    if application.version:
        found["version"] = application.version
    found["endpoint-bindings"] = configuration.effective_bindings(state, application)
    return found


def _relations(state: State, application: str, shown: set[str]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for relation in find.relations_of(state, application):
        local, remote = relation.local(application), relation.remote(application)
        if remote.application not in shown:
            continue
        entry = {
            "related-application": remote.application,
            "interface": local.interface,
            "scope": relation.scope,
        }
        found.setdefault(local.name, []).append(entry)
    return dict(sorted(found.items()))


def _principals(state: State, application: str) -> list[str]:
    return sorted(
        relation.remote(application).application
        for relation in find.relations_of(state, application)
        if relation.scope == "container"
    )


def _unit(state: State, unit: Unit) -> dict[str, Any]:
    workload, agent = shown_statuses(state, unit)
    found: dict[str, Any] = {"workload-status": _status(workload), "juju-status": _agent_status(unit, agent)}
    if leadership.is_leader(state, unit.name):
        found["leader"] = True
    if not unit.principal:
        found["machine"] = unit.machine
    if unit.ports:
        found["open-ports"] = ports.shown(unit.ports)
    if network := state.machines[unit.machine].network:
        found["public-address"] = network.address
    if below := units.subordinates(state, unit.name):
        found["subordinates"] = {subordinate.name: _unit(state, subordinate) for subordinate in below}
    return found


def shown_statuses(state: State, unit: Unit) -> tuple[Status, Status]:
    """Return the statuses of a unit's workload and agent: a hook in error shows as the workload's."""
    if machines.agent_lost(state, unit.name):
        since = state.machines[unit.machine].agent.since
        return (
            Status(current="unknown", message=AGENT_LOST, since=since),
            Status(current="lost", since=since),
        )
    workload = history.shown_workload(unit)
    agent = Status(current="idle", since=unit.agent.since) if workload is unit.agent else unit.agent
    return workload, agent


def _agent_status(unit: Unit, agent: Status) -> dict[str, Any]:
    found = _status(agent)
    if agent.current != "allocating":
        found["version"] = JUJU_VERSION
    if unit.life != "alive":
        found["life"] = unit.life
    return found


def storage(state: State) -> dict[str, Any]:
    """Return the storage, as status and `juju storage` show it."""
    if not len(state.storage):
        return {}
    items = sorted(state.storage, key=lambda item: item.number)
    found: dict[str, Any] = {"storage": {item.id: _instance(item) for item in items}}
    for kind, title, described in (
        ("filesystem", "filesystems", _filesystem),
        ("block", "volumes", _volume),
    ):
        if entries := {str(item.number): described(state, item) for item in items if item.kind == kind}:
            found[title] = entries
    return found


def _instance(item: Storage) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": item.kind,
        "life": item.life,
        "status": _status(item.status),
        "persistent": False,
    }
    if item.owner:
        found["attachments"] = {"units": _unit_attachment(item)}
    return found


def _unit_attachment(item: Storage) -> dict[str, Any]:
    return {item.owner: {"machine": item.machine, "location": item.location, "life": item.attachment}}


def _filesystem(state: State, item: Storage) -> dict[str, Any]:
    machine = {"mount-point": item.location, "read-only": False, "life": item.attachment}
    return _backing(state, item, machine)


def _volume(state: State, item: Storage) -> dict[str, Any]:
    return _backing(state, item, {"device": item.device, "read-only": False, "life": item.attachment})


def _backing(state: State, item: Storage, machine: dict[str, Any]) -> dict[str, Any]:
    prefix = f"juju-{state.model.uuid[-6:]}"
    found: dict[str, Any] = {"provider-id": f"juju:{prefix}-{item.kind}-{item.number}", "storage": item.id}
    if item.owner:
        found["attachments"] = {"machines": {item.machine: machine}, "units": _unit_attachment(item)}
    return {**found, "pool": item.pool, "size": item.size, "life": item.life, "status": _status(item.status)}
