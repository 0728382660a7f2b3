"""Give a related application a new user and password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import clients
from openinfra_charm.model.actions import ActionError, Outcome, require_leader
from sql import StatementError, UnreachableError

if TYPE_CHECKING:
    from charm import MySqlCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    relation_id: int


def run(charm: MySqlCharm, params: Params) -> Outcome:
    """Hand a second user out. The first one goes when Juju says that nobody reads its password any more.

    Raises:
        ActionError: This is not the leader, there is no such client, or its last rotation has not come to its end.
    """
    require_leader(charm, f"rotate-password relation-id={params.relation_id}")
    relations = {relation.id: relation for relation in charm.model.relations["database"]}
    relation = relations.get(params.relation_id)
    request = clients.read_request(charm, relation) if relation else None
    known = clients.users(charm, params.relation_id)
    if relation is None or request is None or not known:
        numbers = ", ".join(map(str, sorted(relations))) or "none"
        raise ActionError(
            f"relation-id={params.relation_id}: no client has a user there; relations are {numbers}"
        )
    if not request.takes_secrets:
        raise ActionError(
            f"{request.application} reads its password from plain relation data and cannot say when it has taken a new "
            "one up: remove the relation and make it again"
        )
    if len(known) > 1:
        raise ActionError(
            f"{request.application} has not taken {known[-1]} up yet; {known[0]} goes when it has. See its units' status"
        )
    if not charm.mysql.is_ready():
        raise ActionError("the database does not serve here; see cluster-status")
    try:
        user = clients.rotate(charm, relation, request)
    except (StatementError, UnreachableError) as error:
        raise ActionError(str(error)) from error
    return Outcome(
        summary=f"{request.application} is given {user}; {known[0]} goes when it has been taken up"
    )
