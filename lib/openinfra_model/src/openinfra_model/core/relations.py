"""Relations: made between endpoints that fit, entered and left by units."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model.core import configuration, find, units
from openinfra_model.core.entities import Databag, Relation, RelationEndpoint, Status
from openinfra_model.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_model.charm import Endpoint
    from openinfra_model.core.context import HookRun
    from openinfra_model.core.entities import Unit
    from openinfra_model.core.state import State

IMPLICIT = "juju-info"


def endpoints_of(state: State, application: str) -> dict[str, RelationEndpoint]:
    """Return an application's endpoints by name."""
    charm = state.charm_of(find.application(state, application)).charm
    return {name: _endpoint(application, endpoint) for name, endpoint in charm.endpoints.items()}


def _endpoint(application: str, endpoint: Endpoint) -> RelationEndpoint:
    return RelationEndpoint(
        application=application,
        name=endpoint.name,
        interface=endpoint.interface,
        role=endpoint.role,
        scope=endpoint.scope,
        implicit=endpoint.name == IMPLICIT and endpoint.role == "provides",
    )


def add_peers(state: State, application: str, now: float) -> None:
    """Make the peer relations that an application's charm has and the model has not yet."""
    existing = {relation.local(application).name for relation in find.relations_of(state, application)}
    for name, end in endpoints_of(state, application).items():
        if end.role == "peers" and name not in existing:
            _create(state, (end,), now)


def _create(state: State, ends: tuple[RelationEndpoint, ...], now: float) -> int:
    number = state.take("relation")
    state.relations.put(Relation(id=number, endpoints=ends, status=Status(current="joining", since=now)))
    return number


def integrate(state: State, first: str, second: str, *, now: float) -> int:
    """Relate two endpoints (`application` or `application:endpoint`) and return the relation's id.

    Raises:
        ModelError: if no pair of endpoints fits, several do, or the relation cannot be.
    """
    ends = infer(state, first, second)
    for end in ends:
        if state.applications[end.application].life != "alive":
            raise ModelError(f'application "{end.application}" is not alive')
    wanted = Relation(id=-1, endpoints=ends, status=Status(current="joining"))
    for relation in state.relations:
        if {str(end) for end in relation.endpoints} == {str(end) for end in ends}:
            reason = "is dying, but not yet removed" if relation.life != "alive" else "already exists"
            raise ModelError(f'cannot add relation "{wanted}": relation {wanted} {reason}')
    for end in ends:
        _check_limit(state, wanted, end)
    number = _create(state, ends, now)
    for application in (end.application for end in ends):
        for unit in find.units_of(state, application):
            if unit.life == "alive" and state.agents[unit.name].installed:
                enter_scopes(state, unit.name, now)
    return number


def _check_limit(state: State, wanted: Relation, end: RelationEndpoint) -> None:
    limit = state.charm_of(state.applications[end.application]).charm.endpoints[end.name].limit
    used = sum(
        1
        for relation in find.relations_of(state, end.application)
        if relation.local(end.application).name == end.name
    )
    if limit and used >= limit:
        raise ModelError(
            f'cannot add relation "{wanted}": establishing a new relation for {end} would exceed its maximum '
            f"relation limit of {limit}"
        )


def infer(state: State, first: str, second: str) -> tuple[RelationEndpoint, RelationEndpoint]:
    """Return the one pair of endpoints that two names (`application[:endpoint]`) can mean.

    Raises:
        ModelError: if there is none or more than one.
    """
    pairs = [
        (one, other)
        for one in _candidates(state, first)
        for other in _candidates(state, second)
        if _fit(state, one, other)
    ]
    if len(pairs) > 1:
        # Juju prefers what the charms name over the endpoint that every charm has (domain/relation).
        pairs = [pair for pair in pairs if not any(end.implicit for end in pair)] or pairs
    if not pairs:
        raise ModelError("no relations found")
    if len(pairs) > 1:
        meanings = "; ".join(
            sorted(f'"{Relation(id=-1, endpoints=pair, status=Status(current=""))}"' for pair in pairs)
        )
        raise ModelError(f'ambiguous relation: "{first} {second}" could refer to {meanings}')
    return pairs[0]


def _candidates(state: State, name: str) -> Iterable[RelationEndpoint]:
    application, _, wanted = name.partition(":")
    known = endpoints_of(state, application)
    if wanted and wanted not in known:
        raise ModelError(f'application "{application}" has no "{wanted}" relation')
    return [known[wanted]] if wanted else known.values()


def _fit(state: State, one: RelationEndpoint, other: RelationEndpoint) -> bool:
    if one.interface != other.interface or {one.role, other.role} != {"provides", "requires"}:
        return False
    if "container" in (one.scope, other.scope):
        return find.is_subordinate(state, one.application) or find.is_subordinate(state, other.application)
    return True


def existing(state: State, first: str, second: str) -> Relation:
    """Return the relation that two names mean.

    Raises:
        ModelError: if there is none.
    """
    wanted = [name.partition(":") for name in (first, second)]

    def means(relation: Relation) -> bool:
        ends = {end.application: end.name for end in relation.endpoints}
        return len(ends) == len(wanted) and all(
            application in ends and endpoint in ("", ends[application]) for application, _, endpoint in wanted
        )

    for name, _, _ in wanted:
        find.application(state, name)
    found = [relation for relation in state.relations if means(relation)]
    if not found:
        raise ModelError(f'relation "{first} {second}" not found')
    if len(found) > 1:
        meanings = "; ".join(sorted(f'"{relation}"' for relation in found))
        raise ModelError(f'ambiguous relation: "{first} {second}" could refer to {meanings}')
    return found[0]


def remove(state: State, first: str, second: str, *, now: float, force: bool = False) -> None:
    """Begin to remove the relation between two endpoints; by force without hooks.

    Raises:
        ModelError: if there is none.
    """
    begin_removal(state, existing(state, first, second).id, force=force, now=now)


def begin_removal(state: State, number: int, *, force: bool, now: float) -> None:
    """Make a relation dying; subordinates that live by it go. By force it is gone at once."""
    relation = state.relations[str(number)]
    state.relations.put(replace(relation, life="dying"))
    if relation.scope == "container":
        for name in tuple(relation.units):
            if name in state.units and _lives_by(state.units[name], relation):
                units.begin_removal(state, name, destroy_storage=False, force=force, now=now)
    for name in relation.units:
        if name in state.units and (force or relation.local(state.units[name].application).implicit):
            leave(state, number, name)
    settle(state, number)


def _lives_by(unit: Unit, relation: Relation) -> bool:
    principal = unit.principal.partition("/")[0]
    return bool(principal) and principal == relation.remote(unit.application).application


def enter_scopes(state: State, name: str, now: float) -> None:
    """Let a unit enter the relations of its application; a principal brings its subordinates."""
    unit = state.units[name]
    for relation in find.relations_of(state, unit.application):
        if relation.life == "alive" and name not in relation.units:
            network = state.machines[unit.machine].network
            content = configuration.address_settings(network) if network else {}
            status = relation.status
            if status.current != "joined":
                status = Status(current="joined", since=now)
            entered = {**relation.units, name: Databag(content=content, version=1)}
            state.relations.put(replace(relation, units=entered, status=status))
        if relation.life == "alive" and relation.scope == "container" and not unit.principal:
            _bring_subordinate(state, relation, unit, now)


def _bring_subordinate(state: State, relation: Relation, principal: Unit, now: float) -> None:
    other = relation.remote(principal.application).application
    present = {unit.application for unit in units.subordinates(state, principal.name)}
    if find.is_subordinate(state, other) and other not in present:
        units.add_subordinate(state, other, principal, now)


def leave(state: State, number: int, name: str) -> None:
    """Let a unit leave a relation; what it published stays readable until the relation is gone."""
    relation = state.relations.get(str(number))
    if relation and name in relation.units:
        rest = {unit: bag for unit, bag in relation.units.items() if unit != name}
        departed = {**relation.departed, name: relation.units[name]}
        state.relations.put(replace(relation, units=rest, departed=departed))
    settle(state, number)


def may_be_gone(state: State, run: HookRun) -> bool:
    """Tell whether Juju may drop a relation before a unit runs relation-broken for it.

    Seen with 4.0.14 and five relations that the removal of an application ended together, in the hook of the last unit to
    run it; not with one relation, nor in the hooks of the other units. Whose last unit, of both applications or of its
    own, was not seen: of its own.
    """
    relation = _ended_by(state, run)
    if relation is None or not relation.ends_with_others:
        return False
    application = run.unit.partition("/")[0]
    return not [other for other in others_in(relation, run.unit) if other.partition("/")[0] == application]


def is_gone(state: State, run: HookRun) -> bool:
    """Tell whether Juju has dropped a relation by then for certain: the unit is the last of all that are in it."""
    relation = _ended_by(state, run)
    return relation is not None and relation.ends_with_others and not others_in(relation, run.unit)


def _ended_by(state: State, run: HookRun) -> Relation | None:
    """Return the relation whose relation-broken a run is."""
    if run.hook is None or run.hook.kind != "relation-broken":
        return None
    return state.relations.get(str(run.hook.relation))


def others_in(relation: Relation, unit: str) -> list[str]:
    """Return the other units that are in a relation."""
    return [other for other in relation.units if other != unit]


def leave_implicit(state: State, name: str) -> None:
    """Let a dying unit leave the relations for which its charm has no hooks."""
    application = state.units[name].application
    for relation in find.relations_of(state, application):
        if relation.local(application).implicit:
            leave(state, relation.id, name)


def leave_all(state: State, name: str) -> None:
    """Let a unit leave every relation without its hooks."""
    for relation in find.relations_of(state, state.units[name].application):
        leave(state, relation.id, name)


def settle(state: State, number: int) -> None:
    """Drop a dying relation that nobody is in any longer, what agents know of it and the rights bound to it."""
    relation = state.relations.get(str(number))
    if relation is None or relation.life == "alive" or relation.units:
        return
    state.relations.remove(relation.key)
    for agent in state.agents:
        if relation.key in agent.memberships:
            others = {key: known for key, known in agent.memberships.items() if key != relation.key}
            state.agents.put(replace(agent, memberships=others))
    for secret in state.secrets:
        kept = tuple(grant for grant in secret.grants if grant.relation != number)
        if kept != secret.grants:
            state.secrets.put(replace(secret, grants=kept))
    for application in {end.application for end in relation.endpoints}:
        units.settle_application(state, application)
