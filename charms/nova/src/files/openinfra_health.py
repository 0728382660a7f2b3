"""Why Nova cannot do its work: a database of its does not answer, or the process has kept an error of its start.

Nova's application answers every request with such an error until it is started again; so it is asked for its versions, which it has without
a database and without a token.
"""

import configparser
import importlib
import os

import sqlalchemy

QUERY = sqlalchemy.text("SELECT version_num FROM alembic_version LIMIT 1")
REQUEST = {
    "REQUEST_METHOD": "GET", "PATH_INFO": "/", "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.multithread": True,
    "wsgi.multiprocess": True, "wsgi.run_once": False, "HTTP_HOST": "localhost",
}  # fmt: skip


def answer_of(application):
    """Return the status with which a WSGI application (PEP 3333) answers a request for its versions."""
    found = []
    body = application({**REQUEST, "wsgi.input": _Empty(), "wsgi.errors": _Empty()}, lambda status, *_: found.append(status))
    for _ in body:
        pass
    if hasattr(body, "close"):
        body.close()
    return int(found[-1].partition(" ")[0])


class _Empty:
    """A stream with nothing in it, and one that keeps nothing."""

    def read(self, *_):
        return b""

    def write(self, *_):
        pass

    def flush(self):
        pass


class Database:
    """One connection to a database, which is kept until it fails, and comes from no pool."""

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
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.invalidate()
                connection.close()
            # One that was kept may have been cut off long ago.
            return self.problem() if kept else f"database: {type(error).__name__}"
        return ""


def _databases():
    config = configparser.RawConfigParser(strict=False)
    config.read(os.environ["OPENINFRA_CONFIG"])
    for section in filter(None, os.environ["OPENINFRA_DATABASES"].split(",")):
        url = f"{config[section]['connection']}&{config[section]['connection_parameters']}"
        # oslo.config would read a single dollar as a reference.
        yield Database(url.replace("$$", "$"))


_all = list(_databases())
_module, _, _name = os.environ["OPENINFRA_WSGI"].partition(":")
_application = getattr(importlib.import_module(_module), _name)


def problem():
    """Return why the service cannot do its work, empty if it can."""
    if why := next(filter(None, (database.problem() for database in _all)), ""):
        return why
    status = answer_of(_application)
    return "" if status < 400 else f"it has kept an error of its start: it answers {status} to everything"  # noqa: PLR2004
