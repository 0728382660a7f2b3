"""Applications: deployed, given another charm, removed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from openinfra_model.core import configuration, find, machines, relations, units
from openinfra_model.core.entities import Application, Resource, StoredCharm
from openinfra_model.core.errors import ModelError

if TYPE_CHECKING:
    from openinfra_model.charm import Charm
    from openinfra_model.core.entities import OptionValue, StorageDirective
    from openinfra_model.core.ids import Ids
    from openinfra_model.core.state import State

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]*[a-z][a-z0-9]*)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """What is to be deployed; see `Core.deploy`."""

    name: str
    charm: Charm
    archive: str
    base: str
    units: int
    to: tuple[str, ...]
    config: dict[str, OptionValue]
    trust: bool
    exposed: bool
    constraints: str
    storage: dict[str, StorageDirective]
    resources: dict[str, tuple[str, str]]
    bindings: dict[str, str]


def deploy(state: State, ids: Ids, wish: Deployment, now: float) -> list[str]:
    """Deploy an application and return the names of its units.

    Raises:
        ModelError: if anything of it is not possible; nothing has changed then.
    """
    _check(state, wish)
    config = configuration.checked(wish.charm, wish.config)
    state.applications.put(
        Application(
            name=wish.name,
            charm_url=_stored_charm(state, wish.charm, wish.archive),
            base=wish.base,
            created=now,
            config=config,
            trusted=wish.trust,
            exposed=wish.exposed,
            constraints=wish.constraints,
            storage=wish.storage,
            bindings=wish.bindings,
            resources={
                name: Resource(name=name, path=path, fingerprint=fingerprint)
                for name, (path, fingerprint) in wish.resources.items()
            },
        )
    )
    relations.add_peers(state, wish.name, now)
    if wish.charm.subordinate or not wish.units:
        return []
    return units.add(state, ids, wish.name, count=wish.units, to=wish.to, now=now)


def _check(state: State, wish: Deployment) -> None:
    if not _NAME.fullmatch(wish.name):
        raise ModelError(f'invalid application name "{wish.name}"')
    if wish.name in state.applications:
        raise ModelError(f'cannot add application "{wish.name}": application already exists')
    if wish.charm.subordinate and wish.to:
        raise ModelError("subordinate application must be deployed without placement")
    if wish.base.partition("@")[0] not in {base.name for base in wish.charm.bases}:
        raise ModelError(f'base "{wish.base}" is not supported by charm "{wish.charm.name}"')
    units.check_placement(state, wish.base, wish.to)
    for kind, given, known in (
        ("storage", wish.storage, wish.charm.storage),
        ("resource", wish.resources, wish.charm.resources),
    ):
        for name in given:
            if name not in known:
                raise ModelError(f'charm "{wish.charm.name}" has no {kind} called "{name}"')
    for name, directive in wish.storage.items():
        configuration.check_storage(wish.charm, name, directive, directive.count)
    configuration.check_bindings(wish.charm, wish.bindings)


def _stored_charm(state: State, charm: Charm, archive: str) -> str:
    """Return the URL of a charm whose archive was deployed before, or store it."""
    known = (stored.url for stored in state.charms if stored.archive == archive and stored.charm == charm)
    return next(known, "") or _store_charm(state, charm, archive)


def _store_charm(state: State, charm: Charm, archive: str) -> str:
    revision = state.take(f"charm-{charm.name}")
    url = f"local:{charm.name}-{revision}"
    state.charms.put(StoredCharm(url=url, revision=revision, archive=archive, charm=charm))
    return url


def refresh(
    state: State,
    name: str,
    charm: Charm,
    *,
    archive: str,
    resources: dict[str, tuple[str, str]],
    now: float,
) -> str:
    """Give an application a new charm and return its URL.

    Raises:
        ModelError: if it is another charm, or lacks what the application uses.
    """
    application = find.application(state, name)
    old = state.charm_of(application).charm
    if charm.name != old.name:
        raise ModelError(f'cannot upgrade application "{name}" from charm "{old.name}" to "{charm.name}"')
    if charm.subordinate != old.subordinate:
        raise ModelError(f'cannot upgrade application "{name}": cannot change an application\'s subordinacy')
    for relation in find.relations_of(state, name):
        end = relation.local(name)
        if not end.implicit and end.name not in charm.endpoints:
            raise ModelError(f'cannot upgrade application "{name}": would break relation "{relation}"')
    kept = {
        key: value
        for key, value in application.config.items()
        if key in charm.config and charm.config[key].type == old.config[key].type
    }
    state.applications.put(
        replace(
            application,
            charm_url=_store_charm(state, charm, archive),
            config=kept,
            modified=application.modified + 1,
            resources={**application.resources, **_new_resources(application, resources)},
        )
    )
    relations.add_peers(state, name, now)
    return state.applications[name].charm_url


def attach_resource(state: State, application_name: str, name: str, path: str, fingerprint: str) -> None:
    """Give an application another file for a resource.

    Raises:
        ModelError: if the charm has no such resource.
    """
    application = find.application(state, application_name)
    if name not in state.charm_of(application).charm.resources:
        raise ModelError(f'resource "{name}" not found for application "{application_name}"')
    added = _new_resources(application, {name: (path, fingerprint)})
    state.applications.put(
        replace(
            application,
            resources={**application.resources, **added},
            modified=application.modified + bool(added),
        )
    )


def _new_resources(application: Application, given: dict[str, tuple[str, str]]) -> dict[str, Resource]:
    """Return the resources whose file is another than before."""
    known = application.resources
    return {
        name: Resource(
            name=name,
            path=path,
            fingerprint=fingerprint,
            revision=known[name].revision + 1 if name in known else 0,
        )
        for name, (path, fingerprint) in given.items()
        if name not in known or known[name].fingerprint != fingerprint
    }


def remove(state: State, name: str, *, destroy_storage: bool, force: bool, now: float) -> None:
    """Begin to remove an application with its relations and units.

    Raises:
        ModelError: if there is no such application.
    """
    application = find.application(state, name)
    state.applications.put(replace(application, life="dying"))
    ending = [relation for relation in find.relations_of(state, name) if not relation.is_peer]
    for relation in ending:
        state.relations.put(replace(relation, ends_with_others=len(ending) > 1))
        relations.begin_removal(state, relation.id, force=force, now=now)
    for unit in find.units_of(state, name):
        agent = state.agents[unit.name]
        if agent.failed:
            state.agents.put(replace(agent, failed_since=now))
        if unit.name in state.units:
            units.begin_removal(state, unit.name, destroy_storage=destroy_storage, force=force, now=now)
    if name in state.applications:
        units.settle_application(state, name)


def destroy_model(state: State, *, force: bool, destroy_storage: bool, now: float) -> None:
    """Begin to remove everything.

    Raises:
        ModelError: if storage would be lost and neither its destruction nor force is asked for.
    """
    if len(state.storage) and not (destroy_storage or force):
        raise ModelError(
            f'cannot destroy model "{state.model.name}": the model contains persistent storage: '
            "say --destroy-storage to destroy it with the model"
        )
    state.models.put(replace(state.model, life="dying"))
    for application in state.applications:
        if application.name in state.applications:
            remove(state, application.name, destroy_storage=True, force=force, now=now)
    for machine in state.machines:
        if machine.life == "alive" and (force or not find.units_on(state, machine.id)):
            machines.remove(state, machine.id, force=force, now=now)
