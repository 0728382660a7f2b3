"""Backups of this unit: made, listed, checked and put back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import backup as backups
from openinfra_charm.model.actions import ActionError, Outcome, failing_on, require_leader
from store import StoreError

if TYPE_CHECKING:
    from charm import MySqlCharm
    from store import Backup

NEWEST = "newest"


def create_backup(charm: MySqlCharm) -> Outcome:
    """Start the job that makes a backup.

    Raises:
        ActionError: This unit's server does not serve.
        NeedsOperatorError: The bucket cannot be used.
    """
    _require_ready(charm)
    record = charm.jobs.start(
        "jobs.create_backup",
        unit=charm.unit.name,
        retention=str(charm.settings.backup_retention),
        **_place(charm),
    )
    return Outcome(summary=f"{record.id} makes a backup; see show-job", result={"job-id": record.id})


def list_backups(charm: MySqlCharm) -> Outcome:
    """List what is complete, and so can be restored.

    Raises:
        ActionError: The object store does not answer.
        NeedsOperatorError: The bucket cannot be used.
    """
    found, where = _all(charm), _place(charm)
    place = f"bucket {where['place']}" if where["place"] else f"{where['folder']} of {charm.unit.name}"
    words = f"{len(found)} backups in {place}" + (f", the newest {found[-1].id}" if found else "")
    return Outcome(summary=words, result=[_described(one) for one in found])


def verify_backup(charm: MySqlCharm, *, backup: str) -> Outcome:
    """Start the job that checks a backup.

    Raises:
        ActionError: There is no such backup.
    """
    name = _find(charm, backup).id
    record = charm.jobs.start("jobs.verify_backup", name=name, **_place(charm))
    return Outcome(
        summary=f"{record.id} starts a server on {name}; see show-job", result={"job-id": record.id}
    )


def restore(
    charm: MySqlCharm,
    *,
    backup: str,
    database: str = "",
    unit: str = "",
    confirm: str = "",
    dry_run: bool = False,
) -> Outcome:
    """Begin to put a backup back, all data or one database, or say what that would overwrite.

    Raises:
        ActionError: There is no such backup, it is not confirmed, or the cluster cannot do it now.
    """
    if busy := charm.restoration.progress:
        raise ActionError(busy)
    if not database:
        return _restore_all(charm, backup, unit or charm.unit.name, confirm, dry_run=dry_run)
    if unit:
        raise ActionError(
            "unit is for the whole cluster: run the action on the unit that has the backup instead"
        )
    return _restore_database(charm, backup, database, confirm, dry_run=dry_run)


def _restore_database(
    charm: MySqlCharm, backup: str, database: str, confirm: str, *, dry_run: bool
) -> Outcome:
    found = _find(charm, backup)
    if backups.dump_name(database) not in found.files:
        known = ", ".join(sorted(set(found.databases) - {backups.SYSTEM}))
        raise ActionError(f"database={database}: {found.id} has no dump of it; it has {known}")
    _require_ready(charm)
    overwritten = {"overwrites": database, "tables": found.databases[database]}
    if dry_run:
        return Outcome(summary=f"{database} would be as it was in {found.id}", result=overwritten)
    _require_confirmed(confirm, database)
    record = charm.jobs.start("jobs.restore_database", name=found.id, database=database, **_place(charm))
    return Outcome(summary=f"{record.id} puts {database} back; see show-job", result={"job-id": record.id})


def _restore_all(charm: MySqlCharm, name: str, unit: str, confirm: str, *, dry_run: bool) -> Outcome:
    require_leader(charm, f"restore backup={name}")
    members = list(charm.members.recorded)
    if unit not in members:
        raise ActionError(
            f"unit={unit}: no member of the cluster; members are {', '.join(members) or 'none'}"
        )
    overwritten: dict[str, Any] = {"overwrites": "all data of " + ", ".join(members), "unit": unit}
    if unit == charm.unit.name or _place(charm)["place"]:
        found = _find(charm, name)
        if backups.FULL not in found.files:
            raise ActionError(f"backup={name}: it has no copy of the whole server; name a database")
        name, overwritten["databases"] = found.id, sorted(found.databases)
    elif not backups.is_name(name):
        raise ActionError(f"backup={name}: only {unit} knows what that is; run list-backups there")
    if dry_run:
        words = f"all members would stop, and begin again with what {unit} has of {name}"
        return Outcome(summary=words, result=overwritten)
    _require_confirmed(confirm, charm.app.name)
    charm.restoration.begin(name, unit)
    return Outcome(
        summary=f"{unit} makes data of {name}, and then all members stop; see status", result=overwritten
    )


def _require_confirmed(confirm: str, what: str) -> None:
    if confirm != what:
        raise ActionError(f"confirm={confirm!r}: this overwrites {what}; say so with confirm={what}")


def _require_ready(charm: MySqlCharm) -> None:
    if not charm.mysql.is_ready():
        raise ActionError("the database does not serve here; see cluster-status")


def _place(charm: MySqlCharm) -> dict[str, str]:
    """Return the place of this unit's backups, as jobs want it."""
    return charm.schedule.arguments(charm.settings)


def _all(charm: MySqlCharm) -> list[Backup]:
    """Return this unit's complete backups, the oldest first."""
    with failing_on(StoreError, words="the backups cannot be listed: {}"):
        return charm.schedule.backups(charm.settings)


def _find(charm: MySqlCharm, name: str) -> Backup:
    """Return a backup that this unit has, by its id, or the `newest`."""
    kept = _all(charm)
    found = kept[-1:] if name == NEWEST else [one for one in kept if one.id == name]
    if not found:
        raise ActionError(
            f"backup={name}: {charm.unit.name} has no complete backup of that name; see list-backups"
        )
    return found[0]


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
