"""Why an API cannot do its work: its database does not answer, or has no schema. A charm may bring a module of its own in this place."""

import configparser
import os

import sqlalchemy


def _engine():
    """Return how the database of the service's configuration is reached, None where there is none."""
    config = configparser.RawConfigParser(strict=False)
    config.read(os.environ["OPENINFRA_CONFIG"])
    url = config.get("database", "connection", fallback="")
    if not url:
        return None
    limits = config.get("database", "connection_parameters", fallback="")
    # oslo.config would read a single dollar as a reference.
    url = f"{url}&{limits}".replace("$$", "$")
    return sqlalchemy.create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True)


_database = _engine()


def problem():
    """Return why the service cannot do its work, empty if it can."""
    if _database is None:
        return ""
    try:
        with _database.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version LIMIT 1")).first()
    except sqlalchemy.exc.SQLAlchemyError as error:
        return f"database: {type(error).__name__}"
    return ""
