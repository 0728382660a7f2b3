"""Let a database hold any character: `python openinfra_tables.py /etc/keystone/keystone.conf`, with the Python of a release tree.

Migrations of OpenStack's services make tables of `utf8`, which in MariaDB has long been three bytes a character: a name
with an emoji is an error. Tables of another character set are converted, and what is made later takes that of the database.
A server that is no MariaDB is left alone: there later migrations would refer from tables of `utf8` to converted ones.
"""

import configparser
import sys

import sqlalchemy

CHARACTERS = "utf8mb4"

config = configparser.RawConfigParser(strict=False)
config.read(sys.argv[1])
# oslo.config would read a single dollar as a reference.
engine = sqlalchemy.create_engine(config["database"]["connection"].replace("$$", "$"))
with engine.connect() as connection:

    def column(statement):
        """Return the first column of a statement's rows."""
        return connection.execute(sqlalchemy.text(statement)).scalars().all()

    if "MariaDB" in column("SELECT VERSION()")[0]:
        (database,) = column("SELECT DATABASE()")
        (characters,) = column(
            "SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = DATABASE()"
        )
        tables = column(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
            "AND table_type = 'BASE TABLE' AND table_collation NOT LIKE 'utf8mb4%'"
        )
        statements = [f"ALTER TABLE `{table}` CONVERT TO CHARACTER SET {CHARACTERS}" for table in tables]
        if characters != CHARACTERS:
            statements.append(f"ALTER DATABASE `{database}` CHARACTER SET {CHARACTERS}")
        # Tables that refer to each other differ for a moment.
        for statement in ("SET SESSION foreign_key_checks = 0", *statements):
            connection.exec_driver_sql(statement)
            if statement.startswith("ALTER"):
                print(statement)  # noqa: T201  it is a program
