"""Why an API cannot do its work: a database of its does not answer, or has no schema. A charm may bring a module of its own in this place."""

import configparser
import os

import sqlalchemy


def _engines():
    """Return how the databases are reached that sections of the service's configuration lead to."""
    config = configparser.RawConfigParser(strict=False)
    config.read(os.environ["OPENINFRA_CONFIG"])
    for section in filter(None, os.environ["OPENINFRA_DATABASES"].split(",")):
        url = f"{config[section]['connection']}&{config[section]['connection_parameters']}"
        # oslo.config would read a single dollar as a reference.
        url = url.replace("$$", "$")
        yield sqlalchemy.create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True)


_databases = list(_engines())


def problem():
    """Return why the service cannot do its work, empty if it can."""
    for database in _databases:
        try:
            with database.connect() as connection:
                connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version LIMIT 1")).first()
        except sqlalchemy.exc.SQLAlchemyError as error:
            return f"database: {type(error).__name__}"
    return ""
