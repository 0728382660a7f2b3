"""List the backups."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from actions import list_all, where_backups_are
from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import MySqlCharm
    from store import Backup

__all__ = ["Params", "run"]


def run(charm: MySqlCharm, _params: Params) -> Outcome:
    """List what is complete, and so can be restored.

    Raises:
        ActionError: The object store does not answer, or the bucket cannot be used.
    """
    found, where = list_all(charm), where_backups_are(charm)
    place = f"bucket {where['place']}" if where["place"] else f"{where['folder']} of {charm.unit.name}"
    words = f"{len(found)} backups in {place}" + (f", the newest {found[-1].id}" if found else "")
    return Outcome(summary=words, result=[_described(one) for one in found])


def _described(backup: Backup) -> dict[str, Any]:
    return {
        "backup": backup.id,
        "unit": backup.unit,
        "version": backup.version,
        "ended": datetime.fromtimestamp(backup.ended, UTC).isoformat(timespec="seconds"),
        "bytes": sum(backup.sizes.values()),
        "databases": sorted(backup.databases),
        "not-saved": dict(backup.failed),
    }
