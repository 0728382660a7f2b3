"""Why an API cannot do its work: a database of its does not answer, or has no schema. A charm may bring a module of its own in this place."""

import configparser
import os

import sqlalchemy

QUERY = sqlalchemy.text("SELECT version_num FROM alembic_version LIMIT 1")


class Database:
    """One connection to a database, which is kept until it fails.

    It comes from no pool: at a member without quorum not even a rollback works (error 1047), and SQLAlchemy gives what cannot be rolled
    back to its pool again only when the garbage collector finds it. A pool of one would be empty until then.
    """

    def __init__(self, url):
        self._engine = sqlalchemy.create_engine(
            url, poolclass=sqlalchemy.pool.NullPool, isolation_level="AUTOCOMMIT"
        )
        self._connection = None

    def problem(self):
        """Return why it does not answer, empty if it does."""
        kept = self._connection is not None
        try:
            self._connection = self._connection or self._engine.connect()
            self._connection.execute(QUERY).first()
        except sqlalchemy.exc.SQLAlchemyError as error:
            self._drop()
            # One that was kept may have been cut off long ago.
            return self.problem() if kept else f"database: {type(error).__name__}"
        return ""

    def _drop(self):
        connection, self._connection = self._connection, None
        if connection is not None:
            # Closed without a rollback.
            connection.invalidate()
            connection.close()


def _databases():
    """Return the databases that sections of the service's configuration lead to."""
    config = configparser.RawConfigParser(strict=False)
    config.read(os.environ["OPENINFRA_CONFIG"])
    for section in filter(None, os.environ["OPENINFRA_DATABASES"].split(",")):
        url = f"{config[section]['connection']}&{config[section]['connection_parameters']}"
        # oslo.config would read a single dollar as a reference.
        yield Database(url.replace("$$", "$"))


_all = list(_databases())


def problem():
    """Return why the service cannot do its work, empty if it can."""
    return next(filter(None, (database.problem() for database in _all)), "")
