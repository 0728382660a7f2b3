"""The users that other applications have here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admin import RefusedError, UnreachableError
from openinfra_charm.model.actions import Outcome, failing_on, require_leader

if TYPE_CHECKING:
    from charm import KeystoneCharm


def list_services(charm: KeystoneCharm) -> Outcome:
    """List what the leader has recorded of each relation."""
    result = {
        str(relation.id): {
            "application": request.application,
            "endpoint": relation.name,
            "users": (known := charm.clients.record(relation.id)).get("users", []),
            "services": known.get("services", []),
        }
        for relation, request in charm.clients.requests()
    }
    words = "; ".join(
        f"{entry['application']} (relation {number}): {', '.join(entry['users']) or 'no user yet'}"
        for number, entry in result.items()
    )
    return Outcome(summary=words or "no application is related", result=result)


def rotate_service_password(charm: KeystoneCharm, *, relation_id: int) -> Outcome:
    """Publish a second user. The first one goes when Juju says that nobody reads its password any more.

    Raises:
        ActionError: This is not the leader, there is no such client, or its last rotation is not over.
    """
    require_leader(charm, f"rotate-service-password relation-id={relation_id}")
    with failing_on(UnreachableError, RefusedError, words=f"{{}}; see the status of {charm.unit.name}"):
        return Outcome(summary=charm.clients.rotate(relation_id))
