"""Parts of the model as Juju's other commands show them with `--format json`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from openinfra_model import JUJU_VERSION
from openinfra_model.core import configuration, find, leadership, ports
from openinfra_model.core import history as log
from openinfra_model.core import secrets as rules
from openinfra_model.core.errors import ModelError
from openinfra_model.core.status import CLOUD, CONTROLLER, timestamp

if TYPE_CHECKING:
    from openinfra_model.core.entities import Operation, Relation, Secret, Task
    from openinfra_model.core.state import State


def unit(state: State, unit: str) -> dict[str, Any]:
    """Return one unit with its relation data."""
    member = find.unit(state, unit)
    found: dict[str, Any] = {}
    if member.version:
        found["workload-version"] = member.version
    found["machine"] = member.machine
    found["opened-ports"] = ports.shown(member.ports)
    if network := state.machines[member.machine].network:
        found["public-address"] = network.address
    found["charm"] = state.applications[member.application].charm_url
    found["leader"] = leadership.is_leader(state, member.name)
    found["life"] = member.life
    found["relation-info"] = [
        _relation_info(relation, member.application, member.name)
        for relation in find.relations_of(state, member.application)
    ]
    return {member.name: found}


def _relation_info(relation: Relation, application: str, name: str) -> dict[str, Any]:
    local, remote = relation.local(application), relation.remote(application)
    # Juju 4.0.15 shows what the unit's own application published, older ones the other side's.
    bag = relation.applications.get(application)
    found: dict[str, Any] = {
        "relation-id": relation.id,
        "endpoint": local.name,
        "related-endpoint": remote.name,
        "application-data": dict(sorted(bag.content.items())) if bag else {},
    }
    if relation.is_peer and name in relation.units:
        found["local-unit"] = _in_scope(relation.units[name].content)
    others = {
        other: _in_scope(data.content)
        for other, data in relation.units.items()
        if other != name and other.rpartition("/")[0] == remote.application
    }
    return {**found, "related-units": others} if others else found


def _in_scope(content: Any) -> dict[str, Any]:
    return {"in-scope": True, "data": dict(sorted(content.items()))}


def application(state: State, application: str) -> dict[str, Any]:
    """Return one application."""
    owner = find.application(state, application)
    stored = state.charm_of(owner)
    return {
        application: {
            "charm": stored.charm.name,
            "base": owner.base,
            "constraints": owner.constraints,
            "principal": not stored.charm.subordinate,
            "exposed": owner.exposed,
            "remote": False,
            "life": owner.life,
            "endpoint-bindings": configuration.effective_bindings(state, owner),
        }
    }


def constraints(state: State, application: str) -> str:
    """Return what an application's new machines must have."""
    return find.application(state, application).constraints


def leader(state: State, application: str) -> str:
    """Return the name of the unit that leads an application.

    Raises:
        ModelError: if there is no such application, or none leads it.
    """
    return find.unit(state, f"{application}/leader").name


def config(state: State, application: str) -> dict[str, Any]:
    """Return an application's options with their values and where these come from."""
    owner = find.application(state, application)
    charm = state.charm_of(owner).charm
    settings: dict[str, Any] = {}
    for key, option in sorted(charm.config.items()):
        entry: dict[str, Any] = {"description": option.description, "type": option.type}
        value = owner.config.get(key, option.default)
        if option.default is not None:
            entry["default"] = option.default
        if value is None:
            entry["source"] = "unset"
        else:
            entry["source"] = "user" if key in owner.config else "default"
            entry["value"] = value
        settings[key] = entry
    trust = {
        "default": False,
        "description": "Does this application have access to trusted credentials",
        "source": "user" if owner.trusted else "default",
        "type": "bool",
        "value": owner.trusted,
    }
    return {
        "application": application,
        "application-config": {"trust": trust},
        "charm": charm.name,
        "settings": settings,
    }


def model_config(state: State) -> dict[str, Any]:
    """Return the model's options."""
    return {
        key: {"Value": value, "Source": "model" if key in state.model.config else "default"}
        for key, value in sorted(configuration.model_options(state).items())
    }


def model(state: State) -> dict[str, Any]:
    """Return the model itself."""
    found = state.model
    machines = {
        machine.id: {"cores": 0, "hostname": machine.hostname, "display-name": machine.hostname}
        for machine in state.machines
    }
    return {
        found.name: {
            "name": f"admin/{found.name}",
            "short-name": found.name,
            "model-uuid": found.uuid,
            "model-type": "iaas",
            "controller-uuid": found.uuid,
            "controller-name": CONTROLLER,
            "is-controller": False,
            "cloud": CLOUD,
            "region": CLOUD,
            "type": "lxd",
            "life": found.life,
            "status": {"current": "available", "since": timestamp(found.created)},
            "machines": machines,
            "agent-version": JUJU_VERSION,
        }
    }


def actions(state: State, application: str, *, schema: bool = False) -> dict[str, Any]:
    """Return the actions of an application's charm: their descriptions, or their schemas."""
    charm = state.charm_of(find.application(state, application)).charm
    return {
        action: spec.schema if schema else spec.description for action, spec in sorted(charm.actions.items())
    }


def _moment(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def _timing(enqueued: float, started: float | None, completed: float | None) -> dict[str, str]:
    moments = {"enqueued": enqueued, "started": started, "completed": completed}
    return {name: _moment(moment) for name, moment in moments.items() if moment is not None}


def task(state: State, task: str) -> dict[str, Any]:
    """Return one task as `juju run` shows it."""
    found = find.task(state, task)
    return {"id": found.id, "unit": found.unit, **_outcome(found)}


def _outcome(found: Task) -> dict[str, Any]:
    outcome: dict[str, Any] = {
        "status": found.status,
        "timing": _timing(found.enqueued, found.started, found.completed),
    }
    if found.message:
        outcome["message"] = found.message
    if found.log:
        outcome["log"] = [f"{_moment(moment)} {text}" for moment, text in found.log]
    if found.results:
        outcome["results"] = dict(found.results)
    return outcome


def operations(state: State) -> dict[str, Any]:
    """Return all operations, the latest last."""
    return {found.id: _operation_summary(state, found) for found in state.operations}


def _operation_summary(state: State, found: Operation) -> dict[str, Any]:
    tasks = [state.tasks[identity] for identity in found.tasks]
    ends = [item.completed for item in tasks]
    starts = [item.started for item in tasks if item.started is not None]
    last = None if None in ends else max((end for end in ends if end is not None), default=None)
    return {
        "summary": found.summary,
        "status": _operation_status(tasks),
        "timing": _timing(found.enqueued, min(starts, default=None), last),
    }


def _operation_status(tasks: list[Task]) -> str:
    """Return what an operation comes to: the first of these that one of its tasks is in (Juju: core/status)."""
    order = ("running", "aborting", "pending", "failed", "error", "cancelled", "aborted", "completed")
    return min((item.status for item in tasks), key=order.index, default="completed")


def operation(state: State, operation: str) -> dict[str, Any]:
    """Return one operation with its tasks."""
    found = find.operation(state, operation)
    tasks = [state.tasks[identity] for identity in found.tasks]
    return {
        **_operation_summary(state, found),
        "action": {"name": tasks[0].action, "parameters": dict(tasks[0].parameters)},
        "tasks": {item.id: {"host": item.unit, **_outcome(item)} for item in tasks},
    }


def secrets(state: State) -> dict[str, Any]:
    """Return all secrets without their content."""
    return {found.id: _secret(found) for found in state.secrets}


def secret(state: State, secret: str, *, reveal: bool = False, revision: int | None = None) -> dict[str, Any]:
    """Return one secret (URI, id, name or label), revealed only if asked to.

    Raises:
        ModelError: if there is none, or no such revision.
    """
    wanted = rules.parse_uri(secret)
    found = next(
        (item for item in state.secrets if wanted == item.id or secret in (item.name, item.label)), None
    )
    if found is None:
        raise ModelError(f'secret "{secret}" not found')
    number = revision or found.latest
    if number not in found.revisions:
        raise ModelError(f'secret "{secret}" has no revision {number}')
    shown = {**_secret(found), "revision": number}
    if reveal:
        shown["content"] = {"Data": rules.decoded(found.revisions[number].content)}
    return {found.id: shown}


def _secret(found: Secret) -> dict[str, Any]:
    optional = {
        "name": found.name,
        "label": found.label,
        "description": found.description,
        "rotation": "" if found.rotation == "never" else found.rotation,
        "rotates": rules.timestamp(found.rotate_at),
        "expires": rules.timestamp(found.revisions[found.latest].expires),
    }
    return {
        "revision": found.latest,
        "owner": found.owner or "<model>",
        "created": rules.timestamp(found.created),
        "updated": rules.timestamp(found.updated),
        **{key: value for key, value in optional.items() if value},
    }


def status_log(state: State, unit: str) -> list[dict[str, Any]]:
    """Return a unit's status history, oldest first."""
    return [
        {
            "type": entry.kind,
            "status": entry.status.current,
            "message": entry.status.message,
            "since": timestamp(entry.status.since),
        }
        for entry in log.entries(state, find.unit(state, unit).name)
    ]


def resources(state: State, application: str) -> dict[str, Any]:
    """Return an application's resources."""
    owner = find.application(state, application)
    charm = state.charm_of(owner).charm
    found = [
        {
            "resourceid": f"{application}/{resource.name}",
            "name": resource.name,
            "type": charm.resources[resource.name].type,
            "filename": charm.resources[resource.name].filename,
            "revision": str(resource.revision),
            "origin": "upload",
            "fingerprint": resource.fingerprint,
        }
        for resource in owner.resources.values()
    ]
    return {"resources": found}
