"""Give a related application a new user and password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from admin import RefusedError, UnreachableError
from openinfra_charm.model.actions import ActionError, Outcome, require_leader
from openinfra_charm.model.granted import RotationError

if TYPE_CHECKING:
    from charm import KeystoneCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    relation_id: int


def run(charm: KeystoneCharm, params: Params) -> Outcome:
    """Publish a second user. The first one goes when Juju says that nobody reads its password any more.

    Raises:
        ActionError: This is not the leader, there is no such client, or its last rotation is not over.
    """
    require_leader(charm, f"rotate-service-password relation-id={params.relation_id}")
    try:
        return Outcome(summary=charm.clients.rotate(params.relation_id))
    except RotationError as error:
        raise ActionError(str(error)) from error
    except (UnreachableError, RefusedError) as error:
        raise ActionError(f"{error}; see the status of {charm.unit.name}") from error
