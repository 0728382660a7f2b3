"""One module for each action."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError
from openinfra_charm.model.status import NeedsOperatorError
from store import StoreError

if TYPE_CHECKING:
    from charm import MySqlCharm
    from store import Backup

NEWEST = "newest"


def where_backups_are(charm: MySqlCharm) -> dict[str, str]:
    """Return the place of this unit's backups, as jobs want it.

    Raises:
        ActionError: An option or the bucket cannot be used.
    """
    try:
        return charm.schedule.arguments(charm.settings)
    except NeedsOperatorError as error:
        raise ActionError(str(error)) from error


def list_all(charm: MySqlCharm) -> list[Backup]:
    """Return this unit's complete backups, the oldest first.

    Raises:
        ActionError: The object store does not answer, or the bucket cannot be used.
    """
    try:
        return charm.schedule.backups(charm.settings)
    except NeedsOperatorError as error:
        raise ActionError(str(error)) from error
    except StoreError as error:
        raise ActionError(f"the backups cannot be listed: {error}") from error


def find(charm: MySqlCharm, name: str) -> Backup:
    """Return a backup that this unit has, by its id, or the `newest`.

    Raises:
        ActionError: There is none of that name, or backups cannot be listed.
    """
    kept = list_all(charm)
    found = kept[-1:] if name == NEWEST else [one for one in kept if one.id == name]
    if not found:
        raise ActionError(
            f"backup={name}: {charm.unit.name} has no complete backup of that name; see list-backups"
        )
    return found[0]


def require_ready(charm: MySqlCharm) -> None:
    """Refuse what needs a server that serves.

    Raises:
        ActionError: This unit's does not.
    """
    if not charm.mysql.is_ready():
        raise ActionError("the database does not serve here; see cluster-status")
