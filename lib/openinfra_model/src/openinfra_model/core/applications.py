"""Applications: deployed, given another charm, removed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from openinfra_model.core import configuration, find, relations, units
from openinfra_model.core.entities import Application, Resource, StoredCharm
from openinfra_model.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from openinfra_model.charm import Charm
    from openinfra_model.core.entities import OptionValue, StorageDirective
    from openinfra_model.core.state import State

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]*[a-z][a-z0-9]*)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """What is to be deployed.

    Attributes:
        name: The application's name.
        charm: What the archive says.
        archive: Where the caller keeps the archive.
        base: Such as ubuntu@24.04.
        units: How many; a subordinate gets none whatever this says.
        to: Where the units go, in order: a machine's id; `new` or nothing makes a machine.
        config: Options with values of their type.
        trust: Whether the charm may ask for the cloud's credentials.
        exposed: Whether open ports are reachable from outside.
        constraints: Of new machines, as written.
        storage: By store; what is not given follows the charm's minimum.
        resources: By name, the file's path and fingerprint.
        bindings: Endpoint to space.
    """

    name: str
    charm: Charm
    archive: str
    base: str
    units: int = 1
    to: Sequence[str] = ()
    config: Mapping[str, OptionValue] = field(default_factory=dict[str, "OptionValue"])
    trust: bool = False
    exposed: bool = False
    constraints: str = ""
    storage: Mapping[str, StorageDirective] = field(default_factory=dict[str, "StorageDirective"])
    resources: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    bindings: Mapping[str, str] = field(default_factory=dict[str, str])


def deploy(state: State, wanted: Deployment, *, now: float) -> list[str]:
    """Deploy a charm from its archive and return the names of its units.

    Raises:
        ModelError: if anything of it is not possible; nothing has changed then.
    """
    _check(state, wanted)
    config = configuration.checked(wanted.charm, wanted.config)
    state.applications.put(
        Application(
            name=wanted.name,
            charm_url=_stored_charm(state, wanted.charm, wanted.archive),
            base=wanted.base,
            created=now,
            config=config,
            trusted=wanted.trust,
            exposed=wanted.exposed,
            constraints=wanted.constraints,
            storage=dict(wanted.storage),
            bindings=dict(wanted.bindings),
            resources={
                name: Resource(name=name, path=path, fingerprint=fingerprint)
                for name, (path, fingerprint) in wanted.resources.items()
            },
        )
    )
    relations.add_peers(state, wanted.name, now)
    if wanted.charm.subordinate or not wanted.units:
        return []
    return units.add(state, wanted.name, count=wanted.units, to=wanted.to, now=now)


def _check(state: State, wanted: Deployment) -> None:
    if not _NAME.fullmatch(wanted.name):
        raise ModelError(f'invalid application name "{wanted.name}"')
    if wanted.name in state.applications:
        raise ModelError(f'cannot add application "{wanted.name}": application already exists')
    if wanted.charm.subordinate and wanted.to:
        raise ModelError("subordinate application must be deployed without placement")
    if wanted.base.partition("@")[0] not in {base.name for base in wanted.charm.bases}:
        raise ModelError(f'base "{wanted.base}" is not supported by charm "{wanted.charm.name}"')
    units.check_placement(state, wanted.base, wanted.to)
    for kind, given, known in (
        ("storage", wanted.storage, wanted.charm.storage),
        ("resource", wanted.resources, wanted.charm.resources),
    ):
        for name in given:
            if name not in known:
                raise ModelError(f'charm "{wanted.charm.name}" has no {kind} called "{name}"')
    for name, directive in wanted.storage.items():
        configuration.check_storage(wanted.charm, name, directive, directive.count)
    configuration.check_bindings(wanted.charm, wanted.bindings)


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
    now: float,
    resources: Mapping[str, tuple[str, str]] | None = None,
) -> str:
    """Give an application a new charm and return its URL; its units run upgrade-charm.

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
            resources={**application.resources, **_new_resources(application, resources or {})},
        )
    )
    relations.add_peers(state, name, now)
    return state.applications[name].charm_url


def attach_resource(state: State, application_name: str, name: str, path: str, fingerprint: str) -> None:
    """Give an application another file for a resource; its units run upgrade-charm.

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


def _new_resources(application: Application, given: Mapping[str, tuple[str, str]]) -> dict[str, Resource]:
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


def remove(
    state: State, name: str, *, now: float, destroy_storage: bool = False, force: bool = False
) -> None:
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
