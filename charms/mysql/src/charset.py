"""All of Unicode in databases and tables that hold three bytes a character (`utf8mb3`): an earlier default, or a client's wish.

What can be written in three bytes is the same in four, so a conversion loses nothing. While a table is converted nobody writes
to the cluster (Galera's total order isolation), so large ones are left to the operator, and named. So are tables whose columns
are of several character sets or collations: one statement would make them all the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sql import StatementError, name

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_charm.job import Jobs
    from sql import Sql

JOB = "jobs.convert_charset"
LARGEST = 256 << 20
"""Bytes of the largest table that is converted without being asked for; it takes seconds."""
SECONDS = 600
LEFT = "left as they were: "
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table with text in three bytes a character; `why_not` says why it is left to the operator."""

    database: str
    name: str
    collation: str
    why_not: str = ""

    @property
    def statement(self) -> str:
        """What converts it: each character set has the same collations. Keys that refer to it are of its kind again when all are done."""
        wider = self.collation.replace("utf8mb3", "utf8mb4", 1)
        table = f"{name(self.database)}.{name(self.name)}"
        return f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE {wider}"


def narrow_databases(sql: Sql) -> list[str]:
    """Return the databases whose new tables would hold three bytes a character."""
    return [row[0] for row in sql.query(DATABASES)]


def narrow_tables(sql: Sql) -> list[Table]:
    """Return the tables that hold three bytes a character."""
    return [_table(row) for row in sql.query(TABLES)]


def _table(row: list[str]) -> Table:
    database, table, collation, kinds, kind, size = row
    why_not = ""
    if int(kinds) > 1 or kind not in {"", collation}:
        why_not = "its columns are of several character sets or collations"
    elif int(size) > LARGEST:
        why_not = f"it has {int(size) >> 20} MiB, and nobody can write meanwhile"
    return Table(database=database, name=table, collation=collation, why_not=why_not)


def start(sql: Sql, jobs: Jobs) -> None:
    """Start a job for what there is to convert, once for the same tables."""
    found = [*narrow_databases(sql), *(f"{table.database}.{table.name}" for table in narrow_tables(sql))]
    if found:
        jobs.once(JOB, digest=hashlib.sha256("\n".join(found).encode()).hexdigest()[:16])


def convert(sql: Sql, report: Callable[[str], None]) -> str:
    """Convert what can be converted; return what was, and name the rest."""
    databases = narrow_databases(sql)
    for database in databases:
        # Its new tables; the collation is the character set's own, as for a new database.
        sql.query(f"ALTER DATABASE {name(database)} CHARACTER SET utf8mb4")
    tables, left = narrow_tables(sql), dict[str, str]()
    for table in tables:
        full = f"{table.database}.{table.name}"
        report(f"converting {full}")
        if table.why_not:
            left[full] = f"{table.why_not}: {table.statement}"
            continue
        try:
            sql.query(f"SET SESSION foreign_key_checks = 0; {table.statement}", seconds=SECONDS)
        except StatementError as error:
            left[full] = str(error)
    words = f"{len(databases)} databases and {len(tables) - len(left)} tables hold all of Unicode now"
    rest = "; ".join(f"{full}: {why}" for full, why in left.items())
    return f"{words}; {LEFT}{rest}" if left else words
