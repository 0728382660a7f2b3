"""What a service's migrations leave to do in its database: `python openinfra_tables.py /etc/keystone/keystone.conf database begin`.

A release tree's Python runs it, before the migrations, and with `end` after them. The second word is the section of the configuration
that says where the database is.

`begin`: a first migration that was interrupted begins anew. A connection that is lost, or a machine, takes it with it, but MariaDB keeps
the tables that it has made: tried again, it fails of them for ever. So an empty database is marked, until its migrations have ended.
Where the mark is, nothing but an interrupted one has ever written: its tables are removed. Where there are tables and no mark, they are
left alone.

`end`: the database can hold any character, and the mark goes.
Migrations of OpenStack's services make tables of `utf8`, which in MariaDB has long been three bytes a character: a name
with an emoji is an error. Tables of another character set or collation than the database's are converted, since what is made later
takes these, and foreign keys lead only to columns of the same kind.
A server that is no MariaDB is left alone: there later migrations would refer from tables of `utf8` to converted ones.

MariaDB converts no column that a foreign key uses, whatever `foreign_key_checks` says. So foreign keys are taken away and made again;
until they are, a table of the database knows them, and a program that was interrupted goes on from there.
"""

import configparser
import sys

import sqlalchemy

CHARACTERS = "utf8mb4"
KNOWN = "openinfra_foreign_keys"
"""The table of foreign keys that are to be made again: of which table, their names, and the statements that do it."""
FOREIGN_KEYS = """
SELECT k.table_name, k.constraint_name, k.referenced_table_name,
    GROUP_CONCAT(CONCAT('`', k.column_name, '`') ORDER BY k.ordinal_position),
    GROUP_CONCAT(CONCAT('`', k.referenced_column_name, '`') ORDER BY k.ordinal_position),
    MAX(r.delete_rule), MAX(r.update_rule)
FROM information_schema.key_column_usage k
JOIN information_schema.referential_constraints r
    ON r.constraint_schema = k.constraint_schema AND r.table_name = k.table_name
    AND r.constraint_name = k.constraint_name
WHERE k.table_schema = DATABASE() AND k.referenced_table_name IS NOT NULL
GROUP BY k.table_name, k.constraint_name, k.referenced_table_name
"""
INDEXES = """
SELECT table_name, GROUP_CONCAT(CONCAT('`', column_name, '`') ORDER BY seq_in_index), index_name
FROM information_schema.statistics WHERE table_schema = DATABASE() AND non_unique = 1
GROUP BY table_name, index_name
"""
MARK = "openinfra_first_migration"
TABLES = """
SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'
"""
DEFAULT_RULES = ("NO ACTION", "RESTRICT")
OTHERS = """
SELECT t.table_name FROM information_schema.tables t
JOIN information_schema.schemata s ON s.schema_name = t.table_schema
WHERE t.table_schema = DATABASE() AND t.table_type = 'BASE TABLE' AND t.table_collation <> s.default_collation_name
"""


class Database:
    """The database that a connection leads to."""

    def __init__(self, connection):
        self._connection = connection

    def rows(self, statement, values=None):
        """Return the rows of a statement, if it has some."""
        found = self._connection.execute(sqlalchemy.text(statement), values or {})
        return found.all() if found.returns_rows else []

    def do(self, statement):
        """Run a statement that may have any characters in it."""
        self._connection.exec_driver_sql(statement)
        self._connection.commit()

    def begin(self):
        """Mark an empty database, and empty a marked one."""
        tables = {name for (name,) in self.rows(TABLES)}
        if not tables:
            self.do(f"CREATE TABLE {MARK} (id INTEGER PRIMARY KEY) ENGINE = InnoDB")
        elif MARK in tables:
            self.do("SET SESSION foreign_key_checks = 0")
            for table in sorted(tables - {MARK}):
                self.do(f"DROP TABLE `{table}`")

    def end(self):
        """Let it hold any character where it is MariaDB's, and take the mark away: from now on there are data."""
        if "MariaDB" in self.rows("SELECT VERSION()")[0][0]:
            self.convert()
        self.do(f"DROP TABLE IF EXISTS {MARK}")

    def convert(self):
        """Let it hold any character; one that was interrupted at this goes on."""
        name, characters = self.rows(
            "SELECT schema_name, default_character_set_name FROM information_schema.schemata "
            "WHERE schema_name = DATABASE()"
        )[0]
        if characters != CHARACTERS:
            self.do(f"ALTER DATABASE `{name}` CHARACTER SET {CHARACTERS}")
        others = [name for (name,) in self.rows(OTHERS)]
        if others or self.rows(f"SHOW TABLES LIKE '{KNOWN}'"):
            self.do("SET SESSION foreign_key_checks = 0")
            self._take_away(set(others))
            for table in others:
                self.do(f"ALTER TABLE `{table}` CONVERT TO CHARACTER SET {CHARACTERS}")
            self._make_again()
            print(f"{len(others)} tables can hold any character now")  # noqa: T201  it is a program

    def _take_away(self, tables):
        """Take away the foreign keys of and to some tables, when it is known how to make them again."""
        self.do(
            f"CREATE TABLE IF NOT EXISTS {KNOWN} (owner VARCHAR(64), name VARCHAR(64), statement TEXT, "
            f"PRIMARY KEY (owner, name)) ENGINE = InnoDB CHARACTER SET {CHARACTERS}"
        )
        indexes = {(owner, columns): index for owner, columns, index in self.rows(INDEXES)}
        for key in self.rows(FOREIGN_KEYS):
            owner, name, referenced, columns, *_ = key
            if {owner, referenced} & tables:
                statement = how_to_make(key, indexes.get((owner, columns)))
                values = {"owner": owner, "name": name, "statement": statement}
                self.rows(f"REPLACE INTO {KNOWN} VALUES (:owner, :name, :statement)", values)  # noqa: S608
                self._connection.commit()
                self.do(f"ALTER TABLE `{owner}` DROP FOREIGN KEY `{name}`")

    def _make_again(self):
        """Make the foreign keys again that were taken away."""
        there = {(owner, name) for owner, name, *_ in self.rows(FOREIGN_KEYS)}
        for owner, name, statement in self.rows(f"SELECT owner, name, statement FROM {KNOWN}"):  # noqa: S608
            if (owner, name) not in there:
                self.do(statement)
        self.do(f"DROP TABLE {KNOWN}")


def how_to_make(key, index):
    """Return the statement that makes a foreign key as it is; its index would get another name if it were not named."""
    owner, name, referenced, columns, others, *rules = key
    parts = [f"DROP INDEX `{index}`, ADD INDEX `{index}` ({columns}), "] if index else []
    parts.append(f"ADD CONSTRAINT `{name}` FOREIGN KEY ({columns}) REFERENCES `{referenced}` ({others})")
    parts += [
        f" ON {what} {rule}"
        for what, rule in zip(("DELETE", "UPDATE"), rules, strict=True)
        if rule not in DEFAULT_RULES
    ]
    return f"ALTER TABLE `{owner}` {''.join(parts)}"


if __name__ == "__main__":
    _, path, section, verb = sys.argv
    config = configparser.RawConfigParser(strict=False)
    config.read(path)
    # oslo.config would read a single dollar as a reference.
    engine = sqlalchemy.create_engine(config[section]["connection"].replace("$$", "$"))
    with engine.connect() as connection:
        {"begin": Database.begin, "end": Database.end}[verb](Database(connection))
