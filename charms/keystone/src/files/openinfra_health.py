"""Why Keystone cannot do its work: a token is encrypted and decrypted and a row is read.

Keystone's own `/v3` and `/healthcheck` answer 200 without its database.
"""

import sqlalchemy
from keystone.common import sql
from keystone.token.token_formatters import TokenFormatter
from oslo_db.exception import DBError

from keystone import exception


def problem():
    """Return why Keystone cannot do its work, empty if it can."""
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
