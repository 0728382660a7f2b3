"""Notes: an OpenStack API of a few lines. `GET /v1` lists the notes of a token's project, `POST /v1` adds one.

As a program (`notes.py CONFIG sync` or `file`) it makes its table, or files what is new, each second.
"""

import json
import os
import sys
import time

import sqlalchemy as sa
from keystonemiddleware import auth_token
from oslo_cache import core as caches
from oslo_config.cfg import CONF, IntOpt
from oslo_db.sqlalchemy import enginefacade

TABLES = sa.MetaData()
VERSION = sa.Table("alembic_version", TABLES, sa.Column("version_num", sa.String(32), primary_key=True))
NOTES = sa.Table(
    "notes", TABLES, sa.Column("id", sa.Integer, primary_key=True), sa.Column("project", sa.String(64)),
    sa.Column("text", sa.Text), sa.Column("filed", sa.Boolean, default=False),
)  # fmt: skip
DATABASE, CACHE = enginefacade.transaction_context(), caches.create_region()


def configure(path):
    """Read the configuration."""
    CONF.register_opt(IntOpt("longest"))
    caches.configure(CONF)
    CONF([], project="notes", default_config_files=[path])
    caches.configure_cache_region(CONF, CACHE)


def write(statement):
    """Change the database."""
    with DATABASE.writer.get_engine().begin() as connection:
        connection.execute(statement)


def read(project):
    """Return the notes of a project."""
    with DATABASE.writer.get_engine().connect() as connection:
        rows = connection.execute(sa.select(NOTES).where(NOTES.c.project == project)).all()
    return [{"id": row.id, "text": row.text, "filed": row.filed} for row in rows]


def notes(environ, start_response):
    """Answer a request whose token is valid (PEP 3333)."""
    project = environ["HTTP_X_PROJECT_ID"]
    if environ["REQUEST_METHOD"] == "POST":
        text = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()[: CONF.longest]
        write(NOTES.insert().values(project=project, text=text, filed=False))
        CACHE.delete(project)
    found = CACHE.get_or_create(project, lambda: read(project), expiration_time=1)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"notes": found}).encode()]


if __name__ == "__main__":
    configure(sys.argv[1])
    if sys.argv[2] == "sync":
        TABLES.create_all(DATABASE.writer.get_engine())
    else:
        while True:
            write(NOTES.update().where(NOTES.c.filed.is_(False)).values(filed=True))
            time.sleep(1)
else:
    configure(os.environ["NOTES_CONFIG"])
    application = auth_token.AuthProtocol(notes, {})
