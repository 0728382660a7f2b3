"""Credentials as Juju secrets: their ids travel in relation data, their content nowhere else."""

from __future__ import annotations

import ops


def find(model: ops.Model, secret_id: str | None) -> dict[str, str] | None:
    """Return the newest content of a secret; None while there is none or it is not granted to this unit yet."""
    if not secret_id:
        return None
    try:
        return model.get_secret(id=secret_id).get_content(refresh=True)
    except (ops.SecretNotFoundError, ops.ModelError):
        return None
