"""Credentials as Juju secrets: their ids travel in relation data, their content nowhere else."""

from __future__ import annotations

import ops


def find(model: ops.Model, secret_id: str | None, *, take_up: bool = True) -> dict[str, str] | None:
    """Return the newest content of a secret; None while there is none or it is not granted to this unit yet.

    Without `take_up` it is only looked at: the owner may end what was before as soon as all have taken the newest up.
    """
    if not secret_id:
        return None
    try:
        return read(model, secret_id, take_up=take_up)
    except ops.SecretNotFoundError:
        return None


def read(model: ops.Model, secret_id: str, *, take_up: bool = True) -> dict[str, str]:
    """Return the newest content of a secret, as `find` does.

    Raises:
        ops.SecretNotFoundError: It is not granted to this unit, not yet or no more: what a relation has granted goes with it,
            and Juju refuses it then in other words.
    """
    try:
        secret = model.get_secret(id=secret_id)
        return secret.get_content(refresh=True) if take_up else secret.peek_content()
    except ops.ModelError as error:
        raise ops.SecretNotFoundError(str(error)) from error
