"""Keystone's WSGI application, and beside it what a load balancer asks: GET /openinfra/health.

It runs in Keystone's own process, from Keystone's release tree. A token is encrypted and decrypted and a row is read, since
Keystone's own `/v3` and `/healthcheck` answer 200 without its database. The answer is kept for a second, so that nobody can make the
database work by asking.
"""

import os
import threading
import time

import sqlalchemy
from keystone.common import sql
from keystone.token.token_formatters import TokenFormatter
from keystone.wsgi.api import application as keystone
from openinfra_errors import guarded
from oslo_db.exception import DBError

from keystone import exception

PATH = "/openinfra/health"
PAUSED = os.environ["OPENINFRA_PAUSED"]
KEEP_SECONDS = 1

_keystone = guarded(keystone)
_lock = threading.Lock()
_known = (0.0, "")


def problem():
    """Return why Keystone cannot do its work, empty if it can."""
    if os.path.exists(PAUSED):
        return "paused"
    formatter = TokenFormatter()
    try:
        formatter.unpack(formatter.pack(b"health"))
        with sql.session_for_read() as session:
            session.execute(sqlalchemy.text("SELECT id FROM project LIMIT 1")).first()
    except exception.Error as error:
        return f"keys: {type(error).__name__}"
    except (DBError, sqlalchemy.exc.SQLAlchemyError) as error:
        return f"database: {type(error).__name__}"
    return ""


def application(environ, start_response):
    """Answer a request (PEP 3333)."""
    global _known
    if environ.get("PATH_INFO") != PATH:
        return _keystone(environ, start_response)
    with _lock:
        asked, why = _known
        if time.monotonic() - asked > KEEP_SECONDS:
            why = problem()
            _known = (time.monotonic(), why)
    start_response("503 Service Unavailable" if why else "200 OK", [("Content-Type", "text/plain")])
    return [f"{why or 'healthy'}\n".encode()]
