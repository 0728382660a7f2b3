"""All of Unicode in databases and tables that hold three bytes a character (`utf8mb3`): an earlier default, or a client's choice.

What can be written in three bytes is the same in four, so a conversion loses nothing. While a table is converted nobody writes
to the cluster (Galera's total order isolation), so large ones are left to the operator, and named. So are tables whose columns
are of several character sets or collations: one statement would make them all the same.

MariaDB converts no column that a foreign key binds to another table. Such keys are noted on the disk, dropped, and put back when
both tables are converted; a job that was interrupted puts them back first.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sql import StatementError, name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from openinfra_charm.daemon.job import Jobs
    from openinfra_charm.machine import Machine
    from sql import Sql

JOB = "jobs.convert_charset"
LARGEST = 256 << 20
"""Bytes of the largest table that is converted without being asked for; it takes seconds."""
SECONDS = 600
LEFT = "left as they were: "
TRIAL = "openinfra_trial"
"""An empty table like the one that is to be converted: it shows whether rows and indexes have room for the wider text."""
DATABASES = """
    SELECT schema_name FROM information_schema.schemata WHERE default_character_set_name = 'utf8mb3'
    AND schema_name NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1
"""
TABLES = """
    SELECT t.table_schema, t.table_name, t.table_collation, COUNT(DISTINCT c.collation_name),
        MAX(COALESCE(c.collation_name, '')), COALESCE(t.data_length + t.index_length, 0)
    FROM information_schema.tables t LEFT JOIN information_schema.columns c
        ON c.table_schema = t.table_schema AND c.table_name = t.table_name AND c.collation_name IS NOT NULL
    WHERE t.table_type = 'BASE TABLE'
        AND t.table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
    GROUP BY t.table_schema, t.table_name
    HAVING t.table_collation LIKE 'utf8mb3%' OR SUM(COALESCE(c.character_set_name, '') = 'utf8mb3') > 0
    ORDER BY 1, 2
"""
KEYS = """
    SELECT k.table_schema, k.table_name, k.constraint_name, k.referenced_table_schema, k.referenced_table_name,
        GROUP_CONCAT(k.column_name ORDER BY k.ordinal_position SEPARATOR '/'),
        GROUP_CONCAT(k.referenced_column_name ORDER BY k.ordinal_position SEPARATOR '/'), r.delete_rule, r.update_rule
    FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r
        ON r.constraint_schema = k.constraint_schema AND r.table_name = k.table_name
        AND r.constraint_name = k.constraint_name
    JOIN information_schema.columns c ON c.table_schema = k.table_schema AND c.table_name = k.table_name
        AND c.column_name = k.column_name
    WHERE k.referenced_table_name IS NOT NULL
        AND k.table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
    GROUP BY k.table_schema, k.table_name, k.constraint_name
    HAVING SUM(COALESCE(c.character_set_name, '') = 'utf8mb3') > 0 ORDER BY 1, 2, 3
"""


PRESENT = (
    "SELECT constraint_schema, table_name, constraint_name FROM information_schema.referential_constraints"
)


class LostKeyError(Exception):
    """A foreign key could not be put back; the message has the statement for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table with text in three bytes a character; `why_not` says why it is left to the operator."""

    database: str
    name: str
    collation: str
    why_not: str = ""

    def convert(self, table: str = "") -> str:
        """Return what converts it, or another table like it: each character set has the same collations."""
        wider = self.collation.replace("utf8mb3", "utf8mb4", 1)
        place = f"{name(self.database)}.{name(table or self.name)}"
        return f"ALTER TABLE {place} CONVERT TO CHARACTER SET utf8mb4 COLLATE {wider}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A foreign key over text, as it is noted while it is dropped."""

    database: str
    table: str
    name: str
    parent_database: str
    parent: str
    columns: list[str]
    parent_columns: list[str]
    on_delete: str
    on_update: str

    @property
    def ends(self) -> set[tuple[str, str]]:
        """The tables that it binds to each other."""
        return {(self.database, self.table), (self.parent_database, self.parent)}

    @property
    def drop(self) -> str:
        """What drops it."""
        return f"ALTER TABLE {name(self.database)}.{name(self.table)} DROP FOREIGN KEY {name(self.name)}"

    @property
    def add(self) -> str:
        """What puts it back."""
        return (
            f"ALTER TABLE {name(self.database)}.{name(self.table)} ADD CONSTRAINT {name(self.name)} FOREIGN KEY "
            f"({', '.join(map(name, self.columns))}) REFERENCES {name(self.parent_database)}.{name(self.parent)} "
            f"({', '.join(map(name, self.parent_columns))}) ON DELETE {self.on_delete} ON UPDATE {self.on_update}"
        )


def narrow_databases(sql: Sql) -> list[str]:
    """Return the databases whose new tables would hold three bytes a character."""
    return [row[0] for row in sql.query(DATABASES)]


def narrow_tables(sql: Sql) -> list[Table]:
    """Return the tables that hold three bytes a character."""
    return [_table(row) for row in sql.query(TABLES)]


def start(sql: Sql, jobs: Jobs) -> None:
    """Start a job for what there is to convert, once for the same tables."""
    found = [*narrow_databases(sql), *(f"{table.database}.{table.name}" for table in narrow_tables(sql))]
    if found:
        jobs.once(JOB, digest=hashlib.sha256("\n".join(found).encode()).hexdigest()[:16])


def convert(sql: Sql, machine: Machine, notes: str, report: Callable[[str], None]) -> str:
    """Convert what can be converted; return what was, and name the rest.

    Args:
        sql: The database.
        machine: Where it runs.
        notes: A file for the keys that are dropped meanwhile.
        report: Tells how far it is.

    Raises:
        LostKeyError: A foreign key could not be put back.
    """
    _put_back(sql, machine, notes)
    databases = narrow_databases(sql)
    for database in databases:
        # Its new tables; the collation is the character set's own, as for a new database.
        sql.query(f"ALTER DATABASE {name(database)} CHARACTER SET utf8mb4")
    keys = [_key(row) for row in sql.query(KEYS)]
    tables = _bound([table if table.why_not else _tried(sql, table) for table in narrow_tables(sql)], keys)
    chosen = [table for table in tables if not table.why_not]
    cut = [key for key in keys if key.ends & {(table.database, table.name) for table in chosen}]
    if cut:
        machine.write(notes, json.dumps([dataclasses.asdict(key) for key in cut]))
    for key in cut:
        sql.query(key.drop, seconds=SECONDS)
    for table in chosen:
        report(f"converting {table.database}.{table.name}")
        sql.query(table.convert(), seconds=SECONDS)
    _put_back(sql, machine, notes)
    words = f"{len(databases)} databases and {len(chosen)} tables hold all of Unicode now"
    left = [
        f"{table.database}.{table.name}: {table.why_not}: {table.convert()}"
        for table in tables
        if table.why_not
    ]
    return f"{words}; {LEFT}{'; '.join(left)}" if left else words


def _table(row: list[str]) -> Table:
    database, table, collation, kinds, kind, size = row
    why_not = ""
    if int(kinds) > 1 or kind not in {"", collation}:
        why_not = "its columns are of several character sets or collations"
    elif int(size) > LARGEST:
        why_not = f"it has {int(size) >> 20} MiB, and nobody can write meanwhile"
    return Table(database=database, name=table, collation=collation, why_not=why_not)


def _key(row: list[str]) -> Key:
    return Key(
        database=row[0],
        table=row[1],
        name=row[2],
        parent_database=row[3],
        parent=row[4],
        columns=row[5].split("/"),
        parent_columns=row[6].split("/"),
        on_delete=row[7],
        on_update=row[8],
    )


def _tried(sql: Sql, table: Table) -> Table:
    """Return the table, with the reason if it cannot be converted."""
    trial = f"{name(table.database)}.{name(TRIAL)}"
    like = f"{name(table.database)}.{name(table.name)}"
    try:
        sql.query(
            f"DROP TABLE IF EXISTS {trial}; CREATE TABLE {trial} LIKE {like}; {table.convert(TRIAL)}; DROP TABLE {trial}",
            seconds=SECONDS,
        )
    except StatementError as error:
        sql.query(f"DROP TABLE IF EXISTS {trial}")
        return dataclasses.replace(table, why_not=str(error))
    return table


def _bound(tables: list[Table], keys: Iterable[Key]) -> list[Table]:
    """Return the tables, those too left as they are that a key binds to one that is."""
    found = {(table.database, table.name): table for table in tables}
    links = [key.ends & found.keys() for key in keys]
    while bound := [
        end
        for ends in links
        if any(found[end].why_not for end in ends)
        for end in ends
        if not found[end].why_not
    ]:
        for end in bound:
            found[end] = dataclasses.replace(
                found[end], why_not="a foreign key binds it to one that is left, too"
            )
    return list(found.values())


def _put_back(sql: Sql, machine: Machine, notes: str) -> None:
    noted = [Key(**known) for known in json.loads(machine.read(notes) or "[]")]
    present = sql.query(PRESENT) if noted else []
    for key in noted:
        if [key.database, key.table, key.name] in present:
            continue
        try:
            # What is there was checked before; looking at all rows again would hold clients up.
            sql.query(f"SET SESSION foreign_key_checks = 0; {key.add}", seconds=SECONDS)
        except StatementError as error:
            raise LostKeyError(f"{error}; put the key back by hand: {key.add}") from error
    machine.remove(notes)
