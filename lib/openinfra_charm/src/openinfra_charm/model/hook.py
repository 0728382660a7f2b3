"""Where each hook and action begins, and where one ends that has nobody left to speak with."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import ops

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PEERS = ("created", "changed", "departed")
"""What a charm usually hears of a relation whose units it counts."""
OTHERS = ("created", "changed", "broken")
"""And of one in which the other application speaks."""
_log = logging.getLogger(__name__)


def main(charm_type: type[ops.CharmBase]) -> None:
    """Do what `ops.main` does, without debug messages.

    ops tells Juju's log in each hook that it runs, and for which event. Juju logs that by itself, and each message is a
    process: together a twentieth of a hook that has nothing to do. No charm of ours says anything at this level.
    """
    logging.disable(logging.DEBUG)
    try:
        ops.main(charm_type)
    except ops.RelationNotFoundError as error:
        if not ends_a_relation(os.environ["JUJU_DISPATCH_PATH"]):
            raise
        # What the hook would have done comes with the next one. One that failed would be tried until Juju gives the unit up, and
        # nobody stops what it runs.
        _log.warning("a relation went while this hook was about its end: %s", "; ".join(error.__notes__))


def is_action() -> bool:
    """Return whether Juju runs an action here, not a hook."""
    return os.environ.get("JUJU_DISPATCH_PATH", "").startswith("actions/")


def is_about(event: ops.EventBase, *endpoints: str) -> bool:
    """Return whether an event may be about one of these endpoints, or about more than a relation."""
    return not isinstance(event, ops.RelationEvent) or event.relation.name in endpoints


def changes(
    on: ops.CharmEvents, relations: Mapping[str, Sequence[str]], *more: ops.BoundEvent
) -> Iterator[ops.BoundEvent]:
    """Yield the events with which something may have changed: those of the unit itself, of relations, and more.

    Args:
        on: The charm's events.
        relations: The kinds of relations' events, by endpoint.
        more: What else a charm has to do with.
    """
    yield from (
        on.install,
        on.leader_elected,
        on.config_changed,
        on.start,
        on.upgrade_charm,
        on.update_status,
    )
    yield from more
    for endpoint, kinds in relations.items():
        yield from (getattr(on[endpoint], f"relation_{kind}") for kind in kinds)


def ends_a_relation(path: str) -> bool:
    """Return whether a hook is about a relation of which the model may have nothing any more."""
    return path.endswith(("-relation-departed", "-relation-broken"))


def principal(relation: ops.Relation) -> ops.Unit | None:
    """Return the unit beside which this one, a subordinate's, is on its machine; None where the relation does not show it.

    In a relation of container scope Juju may show all units of the principal's application.
    """
    name = ops.JujuContext.from_environ().principal_unit
    return next((unit for unit in relation.units if unit.name == name), None)
