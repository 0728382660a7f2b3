"""Have a service's first migration begin anew that was interrupted: `python openinfra_first.py /etc/keystone/keystone.conf database begin`.

A release tree's Python runs it, before the migrations, and with `end` after them. The second word is the section of the configuration
that says where the database is.

A connection that is lost, or a machine, takes a migration with it, but MariaDB keeps the tables that it has made: tried again, it
fails of them for ever. So an empty database is marked before its first migration, until that has ended. Where the mark is, nothing but
an interrupted one has ever written: its tables are removed. Where there are tables and no mark, they are left alone.
"""

import configparser
import sys

import sqlalchemy

MARK = "openinfra_first_migration"
TABLES = """
SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'
"""


def begin(connection):
    """Mark an empty database, and empty a marked one."""
    tables = {name for (name,) in connection.execute(sqlalchemy.text(TABLES))}
    if not tables:
        connection.exec_driver_sql(f"CREATE TABLE {MARK} (id INTEGER PRIMARY KEY) ENGINE = InnoDB")
    elif MARK in tables:
        connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
        for table in sorted(tables - {MARK}):
            connection.exec_driver_sql(f"DROP TABLE `{table}`")


def end(connection):
    """Take the mark away: from now on there are data."""
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {MARK}")


if __name__ == "__main__":
    _, path, section, verb = sys.argv
    config = configparser.RawConfigParser(strict=False)
    config.read(path)
    # oslo.config would read a single dollar as a reference.
    engine = sqlalchemy.create_engine(config[section]["connection"].replace("$$", "$"))
    with engine.connect() as found:
        {"begin": begin, "end": end}[verb](found)
        found.commit()
