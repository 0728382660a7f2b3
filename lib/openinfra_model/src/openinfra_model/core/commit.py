"""What a hook wrote, checked and stored when it has succeeded: all of it or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model.core import configuration, leadership, ports, secrets, storage
from openinfra_model.core.entities import Consumer, Databag, Secret, SecretRevision
from openinfra_model.core.errors import ModelError, ToolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_model.core.context import RunningHook, SecretChange
    from openinfra_model.core.state import State


def commit(state: State, running: RunningHook, now: float) -> None:
    """Store what a run's tools wrote.

    Raises:
        ModelError: if Juju would refuse it when it flushes the hook; nothing is stored then.
    """
    _check(state, running)
    for number, settings in running.unit_settings.items():
        _write_unit_settings(state, number, running.unit, settings)
    for number, settings in running.application_settings.items():
        _write_application_settings(state, number, state.units[running.unit].application, settings)
    for identity, change in running.secrets.items():
        _write_secret(state, running.unit, identity, change, now)
    for name, count in running.new_storage.items():
        directive = configuration.storage_directives(
            state, state.applications[running.unit.partition("/")[0]]
        )[name]
        storage.add(state, running.unit, name, directive=replace(directive, count=count), now=now)
    _write_unit(state, running)


def _check(state: State, running: RunningHook) -> None:
    if running.application_settings and not leadership.is_leader(state, running.unit):
        raise ModelError("cannot write relation settings: the unit is no longer the leader")
    for identity, change in running.secrets.items():
        secret = state.secrets.get(identity)
        if not change.owner and not (secret and secrets.manages(state, running.unit, secret)):
            raise ModelError(f'failed to update secret "{identity}": permission denied')
    try:
        for port in running.opened:
            ports.check_open(state, running.unit, port)
    except ToolError as error:
        raise ModelError(error.message) from error
    for name, count in running.new_storage.items():
        _check_storage(state, running.unit, name, count)


def _check_storage(state: State, unit: str, name: str, count: int) -> None:
    application = state.applications[state.units[unit].application]
    charm = state.charm_of(application).charm
    directive = configuration.storage_directives(state, application)[name]
    present = sum(1 for item in storage.attached(state, unit) if item.name == name)
    configuration.check_storage(charm, name, directive, present + count)


def _write_unit_settings(state: State, number: int, unit: str, settings: Mapping[str, str]) -> None:
    relation = state.relations.get(str(number))
    if relation and unit in relation.units:
        bag = _merged(relation.units[unit], settings)
        if bag is not relation.units[unit]:
            state.relations.put(replace(relation, units={**relation.units, unit: bag}))


def _write_application_settings(
    state: State, number: int, application: str, settings: Mapping[str, str]
) -> None:
    if relation := state.relations.get(str(number)):
        old = relation.applications.get(application, Databag())
        bag = _merged(old, settings)
        if bag is not old:
            state.relations.put(replace(relation, applications={**relation.applications, application: bag}))


def merge(content: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return relation data with settings written to it; an empty value removes its key."""
    return {key: value for key, value in {**content, **settings}.items() if value}


def _merged(bag: Databag, settings: Mapping[str, str]) -> Databag:
    content = merge(bag.content, settings)
    return bag if content == bag.content else Databag(content=content, version=bag.version + 1)


def _write_unit(state: State, running: RunningHook) -> None:
    unit = state.units[running.unit]
    kept = tuple(port for port in unit.ports if port not in running.closed)
    opened = tuple(port for port in running.opened if port not in kept)
    charm_state = unit.charm_state if running.charm_state is None else running.charm_state
    state.units.put(replace(unit, ports=kept + opened, charm_state=charm_state))
    if running.reboot:
        state.machines.put(replace(state.machines[unit.machine], reboot_wanted=True))


def _write_secret(state: State, unit: str, identity: str, change: SecretChange, now: float) -> None:
    if change.owner:
        secret = _new_secret(identity, change, now)
    else:
        secret = _changed_secret(state.secrets[identity], change, now)
    state.secrets.put(secret)
    if change.follows:
        secrets.follow(state, unit, secret, Consumer(revision=secret.latest, label=secret.label))
    for revision in change.removed:
        if secret.id in state.secrets:
            secrets.remove_revision(state, state.secrets[secret.id], revision)


def _new_secret(identity: str, change: SecretChange, now: float) -> Secret:
    rotation = change.rotation or "never"
    return Secret(
        id=identity,
        owner=change.owner,
        created=now,
        updated=now,
        latest=1,
        revisions={1: SecretRevision(content=change.content or {}, created=now, expires=change.expires)},
        label=change.label or "",
        description=change.description or "",
        rotation=rotation,
        rotate_at=secrets.next_rotation(rotation, now),
        grants=tuple(change.grants),
    )


def _changed_secret(secret: Secret, change: SecretChange, now: float) -> Secret:
    rotation = secret.rotation if change.rotation is None else change.rotation
    kept = tuple(
        grant for grant in secret.grants if grant.grantee not in change.revoked and grant not in change.grants
    )
    changed = replace(
        secret,
        label=secret.label if change.label is None else change.label,
        description=secret.description if change.description is None else change.description,
        rotation=rotation,
        rotate_at=secret.rotate_at if rotation == secret.rotation else secrets.next_rotation(rotation, now),
        grants=(*kept, *change.grants),
    )
    if change.content is not None:
        return secrets.revise(changed, change.content, change.expires, now)
    if change.expires is not None:
        latest = replace(changed.revisions[changed.latest], expires=change.expires)
        return replace(changed, revisions={**changed.revisions, changed.latest: latest})
    return changed
