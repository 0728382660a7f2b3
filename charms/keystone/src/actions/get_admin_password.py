"""Show the administrator's password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import NoParams, Outcome

if TYPE_CHECKING:
    from charm import KeystoneCharm

Params = NoParams


def run(charm: KeystoneCharm, _: Params) -> Outcome:
    """Tell the user's name and password.

    Raises:
        ActionError: There is no user yet.
    """
    content = charm.accounts.administrator()
    return Outcome(summary=f"the password of {content['username']} is {content['password']}", result=content)
