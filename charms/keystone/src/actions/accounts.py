"""The administrator's password, and the users of other applications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admin import RefusedError, UnreachableError
from openinfra_charm.model.actions import ActionError, Outcome, require_leader

if TYPE_CHECKING:
    from charm import KeystoneCharm


def get_admin_password(charm: KeystoneCharm) -> Outcome:
    """Show the user's name and password.

    Raises:
        ActionError: There is no user yet.
    """
    content = charm.accounts.administrator()
    return Outcome(summary=f"the password of {content['username']} is {content['password']}", result=content)


def rotate_admin_password(charm: KeystoneCharm) -> Outcome:
    """Change the password in place, and have it in the secret.

    A user of Keystone has one password; a second user would be another name in what people have written down. Nothing of
    ours uses this one: the charm and the services have users of their own. Keystone ends the user's tokens.

    Raises:
        ActionError: This is not the leader, or Keystone cannot be reached.
    """
    require_leader(charm, "rotate-admin-password")
    charm.accounts.administrator()
    try:
        charm.accounts.rotate_administrator()
    except (UnreachableError, RefusedError) as error:
        raise ActionError(f"{error}; see the status of {charm.unit.name}") from error
    return Outcome(summary="admin has a new password: get-admin-password, openrc")


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
