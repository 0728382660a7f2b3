"""Put a backup back: all data, or one database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import backup
from openinfra_charm.model.actions import ActionError, Outcome, require_leader
from store import StoreError

if TYPE_CHECKING:
    from charm import MySqlCharm
    from store import Backup

NEWEST = "newest"


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


def find(charm: MySqlCharm, name: str) -> Backup:
    """Return a backup that this unit has, by its id, or the `newest`.

    Raises:
        ActionError: There is none of that name, or backups cannot be listed.
    """
    if why := charm.schedule.objection:
        raise ActionError(why)
    try:
        kept = charm.schedule.kept(charm.settings).backups()
    except StoreError as error:
        raise ActionError(f"the backups cannot be listed: {error}") from error
    found = kept[-1:] if name == NEWEST else [one for one in kept if one.id == name]
    if not found:
        raise ActionError(
            f"backup={name}: {charm.unit.name} has no complete backup of that name; see list-backups"
        )
    return found[0]


def _restore_database(charm: MySqlCharm, params: Params) -> Outcome:
    found = find(charm, params.backup)
    if backup.dump_name(params.database) not in found.files:
        known = ", ".join(sorted(set(found.databases) - {backup.SYSTEM}))
        raise ActionError(f"database={params.database}: {found.id} has no dump of it; it has {known}")
    if not charm.mysql.is_ready():
        raise ActionError("the database does not serve here; see cluster-status")
    overwritten = {"overwrites": params.database, "tables": found.databases[params.database]}
    if params.dry_run:
        return Outcome(summary=f"{params.database} would be as it was in {found.id}", result=overwritten)
    _check_confirmed(params, params.database)
    record = charm.jobs.start(
        "jobs.restore_database",
        name=found.id,
        database=params.database,
        **charm.schedule.arguments(charm.settings),
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
    if unit == charm.unit.name or charm.schedule.arguments(charm.settings)["place"]:
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
