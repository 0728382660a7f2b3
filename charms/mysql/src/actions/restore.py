"""Put a backup back: all data, or one database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import backup
from actions import find, require_ready, where_backups_are
from openinfra_charm.model.actions import ActionError, Outcome, require_leader

if TYPE_CHECKING:
    from charm import MySqlCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    backup: str
    database: str = ""
    unit: str = ""
    confirm: str = ""
    dry_run: bool = False


def run(charm: MySqlCharm, params: Params) -> Outcome:
    """Begin a restore, or say what it would overwrite.

    Raises:
        ActionError: There is no such backup, it is not confirmed, or the cluster cannot do it now.
    """
    if busy := charm.restoration.progress:
        raise ActionError(busy)
    if params.database and params.unit:
        raise ActionError(
            "unit is for the whole cluster: run the action on the unit that has the backup instead"
        )
    return _restore_database(charm, params) if params.database else _restore_all(charm, params)


def _restore_database(charm: MySqlCharm, params: Params) -> Outcome:
    found = find(charm, params.backup)
    if backup.dump_name(params.database) not in found.files:
        known = ", ".join(sorted(set(found.databases) - {backup.SYSTEM}))
        raise ActionError(f"database={params.database}: {found.id} has no dump of it; it has {known}")
    require_ready(charm)
    overwritten = {"overwrites": params.database, "tables": found.databases[params.database]}
    if params.dry_run:
        return Outcome(summary=f"{params.database} would be as it was in {found.id}", result=overwritten)
    _check_confirmed(params, params.database)
    record = charm.jobs.start(
        "jobs.restore_database",
        name=found.id,
        database=params.database,
        **where_backups_are(charm),
    )
    summary = f"{record.id} puts {params.database} back; see show-job"
    return Outcome(summary=summary, result={"job-id": record.id})


def _restore_all(charm: MySqlCharm, params: Params) -> Outcome:
    require_leader(charm, f"restore backup={params.backup}")
    unit = params.unit or charm.unit.name
    members = list(charm.members.recorded)
    if unit not in members:
        raise ActionError(
            f"unit={unit}: no member of the cluster; members are {', '.join(members) or 'none'}"
        )
    name = params.backup
    overwritten: dict[str, Any] = {"overwrites": "all data of " + ", ".join(members), "unit": unit}
    if unit == charm.unit.name or where_backups_are(charm)["place"]:
        found = find(charm, name)
        if backup.FULL not in found.files:
            raise ActionError(f"backup={name}: it has no copy of the whole server; name a database")
        name, overwritten["databases"] = found.id, sorted(found.databases)
    elif not backup.is_name(name):
        raise ActionError(f"backup={name}: only {unit} knows what that is; run list-backups there")
    if params.dry_run:
        words = f"all members would stop, and begin again with what {unit} has of {name}"
        return Outcome(summary=words, result=overwritten)
    _check_confirmed(params, charm.app.name)
    charm.restoration.begin(name, unit)
    return Outcome(
        summary=f"{unit} makes data of {name}, and then all members stop; see status", result=overwritten
    )


def _check_confirmed(params: Params, what: str) -> None:
    if params.confirm != what:
        raise ActionError(f"confirm={params.confirm!r}: this overwrites {what}; say so with confirm={what}")
