"""Give a related application a new user and password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from admin import RefusedError, UnreachableError
from openinfra_charm.model.actions import ActionError, Outcome, require_leader

if TYPE_CHECKING:
    from charm import KeystoneCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    relation_id: int


def run(charm: KeystoneCharm, params: Params) -> Outcome:
    """Hand a second user out. The first one goes when Juju says that nobody reads its password any more.

    Raises:
        ActionError: This is not the leader, there is no such client, or its last rotation has not come to its end.
    """
    require_leader(charm, f"rotate-service-password relation-id={params.relation_id}")
    found = {relation.id: (relation, request) for relation, request in charm.clients.requests()}
    users = charm.clients.record(params.relation_id).get("users", [])
    if params.relation_id not in found or not users:
        numbers = ", ".join(map(str, sorted(found))) or "none"
        raise ActionError(
            f"relation-id={params.relation_id}: no client has a user there; relations are {numbers}"
        )
    relation, request = found[params.relation_id]
    if len(users) > 1:
        raise ActionError(
            f"{request.application} has not taken {users[-1]} up yet; {users[0]} goes when it has. See its units' status"
        )
    try:
        user = charm.clients.rotate(relation, request)
    except (UnreachableError, RefusedError) as error:
        raise ActionError(f"{error}; see the status of {charm.unit.name}") from error
    return Outcome(
        summary=f"{request.application} is given {user}; {users[0]} goes when it has been taken up"
    )
