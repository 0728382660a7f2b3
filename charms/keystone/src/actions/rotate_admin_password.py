"""Give the administrator a new password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admin import RefusedError, UnreachableError
from openinfra_charm.model.actions import ActionError, NoParams, Outcome, require_leader

if TYPE_CHECKING:
    from charm import KeystoneCharm

Params = NoParams


def run(charm: KeystoneCharm, _: Params) -> Outcome:
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
