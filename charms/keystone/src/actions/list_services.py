"""List the applications that have users and services here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import NoParams, Outcome

if TYPE_CHECKING:
    from charm import KeystoneCharm

Params = NoParams


def run(charm: KeystoneCharm, _: Params) -> Outcome:
    """Tell what the leader has recorded of each relation."""
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
