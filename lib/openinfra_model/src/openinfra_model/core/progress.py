"""What a unit's agent remembers once a hook is over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model.core import configuration, history, relations, secrets, storage
from openinfra_model.core.entities import Hook, Membership

if TYPE_CHECKING:
    from openinfra_model.core.state import State

FIRST_RETRY_SECONDS = 5.0
LAST_RETRY_SECONDS = 300.0


def has_subject(state: State, hook: Hook) -> bool:
    """Say whether what a hook is about is still there; otherwise it cannot be in error for long."""
    return (hook.relation is None or str(hook.relation) in state.relations) and (
        not hook.storage or hook.storage in state.storage
    )


def complete(state: State, name: str, hook: Hook, *, config_seen: str, now: float) -> None:
    """Record that a hook succeeded or was passed over. `config_seen` is the fingerprint from when it began."""
    agent = state.agents[name]
    queued = None if agent.queued and agent.queued.kind == hook.kind else agent.queued
    state.agents.put(replace(agent, failed=None, queued=queued, attempts=0, retry_at=None))
    unit = state.units[name]
    state.units.put(replace(unit, resolved=""))
    history.set_agent(state, name, "idle", now)
    if hook.kind.startswith("relation-"):
        _relation(state, name, hook)
    elif hook.kind.startswith("secret-"):
        secrets.hook_done(state, name, hook, now)
    elif hook.kind.startswith("storage-"):
        _storage(state, name, hook, now)
    else:
        _unit(state, name, hook, config_seen, now)
    if hook.kind == "install":
        relations.enter_scopes(state, name, now)


def fail(state: State, name: str, hook: Hook, now: float, *, reason: str = "") -> str:
    """Put a unit in error over a hook and return the message; it is retried later and later.

    `reason` is why a hook could not be run at all; what a hook itself says is in the log.
    """
    agent = state.agents[name]
    retry = configuration.model_options(state)["automatically-retry-hooks"] == "true"
    delay = min(FIRST_RETRY_SECONDS * 2**agent.attempts, LAST_RETRY_SECONDS)
    state.agents.put(
        replace(
            agent,
            failed=hook,
            attempts=agent.attempts + 1,
            failed_since=agent.failed_since if agent.failed else now,
            retry_at=now + delay if retry else None,
        )
    )
    state.units.put(replace(state.units[name], resolved=""))
    message = f'hook failed: "{hook.name}"'
    data: dict[str, object] = {"hook": hook.name}
    if hook.relation is not None:
        end = state.relations[str(hook.relation)].remote(state.units[name].application)
        message += f" for {end}"
        data["relation-id"] = hook.relation
        if hook.remote_unit:
            data["remote-unit"] = hook.remote_unit
    if reason:
        message += f": {reason}"
    history.set_agent(state, name, "error", now, message=message, data=data)
    return message


def _unit(state: State, name: str, hook: Hook, config_seen: str, now: float) -> None:
    agent = state.agents[name]
    match hook.kind:
        case "install":
            agent = replace(agent, installed=True)
        case "upgrade-charm":
            # Juju runs config-changed after it, whether or not the configuration changed.
            agent = replace(agent, config_seen="")
        case "config-changed":
            agent = replace(
                agent, config_seen=config_seen, queued=None if agent.started else Hook(kind="start")
            )
        case "start":
            agent = replace(agent, started=True, boot_id=state.machines[state.units[name].machine].boot_id)
            _forget_installing(state, name, now)
        case "leader-elected":
            agent = replace(agent, leader=True)
        case "update-status":
            agent = replace(agent, update_status_at=now + configuration.update_status_interval(state))
        case "stop":
            agent = replace(agent, stopped=True)
        case "remove":
            agent = replace(agent, removed=True)
        case _:
            raise ValueError(f"unknown hook {hook.kind!r}")
    state.agents.put(agent)


def _storage(state: State, name: str, hook: Hook, now: float) -> None:
    agent = state.agents[name]
    rest = tuple(item for item in agent.storage if item != hook.storage)
    if hook.kind == "storage-attached":
        state.agents.put(replace(agent, storage=(*rest, hook.storage)))
    else:
        state.agents.put(replace(agent, storage=rest))
        storage.detached(state, hook.storage, now)


def _forget_installing(state: State, name: str, now: float) -> None:
    """Say that the status is unknown where the charm has never set one."""
    if state.units[name].workload.message in (history.INITIALISING, history.INSTALLING):
        history.set_workload(state, name, "unknown", "", now)


def _relation(state: State, name: str, hook: Hook) -> None:
    agent = state.agents[name]
    key = str(hook.relation)
    memberships = {other: known for other, known in agent.memberships.items() if other != key}
    is_over = hook.kind == "relation-broken" or key not in state.relations
    if not is_over:
        memberships[key] = _told(agent.memberships.get(key, Membership()), hook)
    state.agents.put(replace(agent, memberships=memberships))
    if is_over:
        relations.leave(state, int(key), name)


def _told(known: Membership, hook: Hook) -> Membership:
    """Return what a charm knows of a relation after a hook."""
    match hook.kind, hook.remote_unit:
        case "relation-created", _:
            return replace(known, created=True)
        case "relation-joined", unit:
            return replace(known, members={**known.members, unit: hook.version}, pending_change=unit)
        case "relation-changed", "":
            seen = {**known.applications, hook.remote_application: hook.version}
            return replace(known, applications=seen)
        case "relation-changed", unit:
            return replace(known, members={**known.members, unit: hook.version}, pending_change="")
        case _, unit:
            members = {member: version for member, version in known.members.items() if member != unit}
            ghosts = tuple(ghost for ghost in known.ghosts if ghost != unit)
            return replace(known, members=members, ghosts=ghosts)
