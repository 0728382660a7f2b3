"""Why the portal cannot do its work: it has no sessions, or cannot show the page to log in.

A Keystone that is away is no reason: the page says so itself, and without the portal nobody would be told.
"""

import time

from django.db import DatabaseError, connection
from portal_wsgi import application

PAGE_SECONDS = 60
"""For how long a page that was shown counts as shown: what it is made of does not change in a process."""
QUERY = "SELECT 1 FROM django_session LIMIT 1"
_shown = {"at": -PAGE_SECONDS}


def problem():
    """Return why it cannot do its work, empty if it can."""
    try:
        # A request begins and ends with that: a connection that was cut off is noticed.
        connection.close_if_unusable_or_obsolete()
        with connection.cursor() as cursor:
            cursor.execute(QUERY)
    except DatabaseError as error:
        connection.close()
        return f"database: {type(error).__name__}"
    if time.monotonic() - _shown["at"] >= PAGE_SECONDS:
        if why := application.why_no_login():
            return why
        _shown["at"] = time.monotonic()
    return ""
