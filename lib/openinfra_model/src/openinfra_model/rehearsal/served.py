"""Who is served by what: at rest nobody is unserved who was served before, unless a status says so.

Whether somebody is served is the twins' answer (`why_not_served`, `users`). Kept here is who was served at earlier rests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.testing import Client
from openinfra_model.core import secrets
from openinfra_model.core.entities import Databag
from openinfra_model.rehearsal.invariants import SERVED, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from openinfra_model.core.entities import Relation
    from openinfra_model.rehearsal.world import World


@dataclass(frozen=True, kw_only=True, slots=True)
class _Use:
    """That somebody uses an application, over a relation or (None) over none."""

    provider: str
    who: str
    relation: int | None = None

    def __str__(self) -> str:
        where = "" if self.relation is None else f" over relation {self.relation}"
        return f"{self.who}{where}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Service:
    """Whether somebody is served: why not, and the units whose statuses have to tell it."""

    why_not: str
    path: tuple[str, ...]


class Served:
    """Who was served at rests of a schedule, and at which one last."""

    def __init__(self) -> None:
        self._last: dict[_Use, str] = {}
        """What the operator did before that rest."""

    def note(self, world: World, after: str) -> None:
        """Note who is served at this rest, and forget who uses nothing any more: the relation or the unit was removed.

        Args:
            world: What is at rest.
            after: What the operator has done before.
        """
        self._last = {
            use: self._last[use] if service.why_not else after
            for use, service in _services(world, self._last).items()
            if use in self._last or not service.why_not
        }

    def check(self, world: World) -> None:
        """Check that nobody is unserved without a status that says so.

        Raises:
            Violation: Somebody is.
        """
        for sentence in self.unserved(world):
            raise Violation(SERVED, sentence)

    def unserved(self, world: World) -> list[str]:
        """Return who was served at an earlier rest, is not now, and no status says so; a sentence each."""
        return [
            f"{use.provider} does not serve {use} any more: {service.why_not}; it did after {self._last[use]!r}, "
            f"and {', '.join(service.path)} are active"
            for use, service in _services(world, self._last).items()
            if use in self._last and service.why_not and not _is_told(world, service.path)
        ]


def _services(world: World, known: Iterable[_Use]) -> dict[_Use, _Service]:
    """Return who uses what. Users over no relation stay those that were known, also where nobody names them any more."""
    found: dict[_Use, _Service] = {}
    for provider, twin in world.twins.items():
        if not (units := tuple(world.units_of(provider))):
            continue
        for use in known:
            if use.provider == provider and use.relation is None:
                found[use] = _Service(why_not="nobody there knows it", path=units)
        for who, why in twin.users():
            found[_Use(provider=provider, who=who)] = _Service(why_not=why, path=units)
        for relation in world.state.relations:
            if relation.life == "alive" and not relation.is_peer and _provides(relation, provider):
                for client in _clients(world, relation, provider):
                    use = _Use(provider=provider, who=client.unit, relation=relation.id)
                    found[use] = _Service(why_not=twin.why_not_served(client), path=(*units, client.unit))
    return found


def _provides(relation: Relation, application: str) -> bool:
    return any(end.application == application and end.role == "provides" for end in relation.endpoints)


def _clients(world: World, relation: Relation, provider: str) -> Iterator[Client]:
    requirer = relation.remote(provider).application
    providers = {
        name: bag.content for name, bag in relation.units.items() if name.partition("/")[0] == provider
    }
    for name, bag in relation.units.items():
        unit = world.state.units.get(name)
        if unit and unit.application == requirer and unit.life == "alive":
            yield Client(
                unit=name,
                endpoint=relation.local(provider).name,
                asks=relation.applications.get(requirer, Databag()).content,
                says=bag.content,
                told=_with_secrets(world, name, relation.applications.get(provider, Databag()).content),
                providers=providers,
            )


def _with_secrets(world: World, unit: str, told: Mapping[str, str]) -> dict[str, str]:
    """Add the content of secrets that are named, at the revisions that a unit follows."""
    known = dict(told)
    for key, value in told.items():
        identifier = secrets.parse_uri(value) if value.startswith("secret:") else None
        secret = world.state.secrets.get(identifier) if identifier else None
        if secret and secrets.can_read(world.state, unit, secret):
            followed = secret.consumers.get(unit)
            revision = secret.revisions.get(followed.revision if followed else secret.latest)
            content = secrets.decoded(revision.content) if revision else {}
            known |= {f"{key}.{name}": text for name, text in content.items()}
    return known


def _is_told(world: World, path: tuple[str, ...]) -> bool:
    """Return whether the status of one of these units is other than active; one without power Juju shows as lost."""
    statuses = world.statuses()
    return any(
        statuses[unit][0] != "active" or not world.machines[world.state.units[unit].machine].powered
        for unit in path
    )
