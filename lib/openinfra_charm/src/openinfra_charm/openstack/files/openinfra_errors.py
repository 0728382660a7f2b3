"""What an OpenStack API answers when it fails in a way that it does not handle itself.

Some services hand such errors on to the server, and uWSGI ends the connection without a word: the front before it makes that a 502,
which says that the service is away. Here the client gets a 500 in the service's own form, and the journal what has happened.
"""

import json
import logging
import sys

_LOG = logging.getLogger(__name__)
_BODY = json.dumps(
    {
        "error": {
            "code": 500,
            "title": "Internal Server Error",
            "message": "An unexpected error prevented the server from fulfilling your request.",
        }
    }
).encode()
_HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))]


def guarded(application):
    """Return a WSGI application (PEP 3333) that answers whatever happens in another one."""

    def answer(environ, start_response):
        started = []

        def start(*arguments):
            started.append(arguments)
            return start_response(*arguments)

        try:
            return application(environ, start)
        except Exception:  # noqa: BLE001  this is the last place where it can become an answer
            method, path = environ.get("REQUEST_METHOD"), environ.get("PATH_INFO")
            _LOG.exception("%s %s failed in a way that nobody has foreseen", method, path)
            # uWSGI sends no body after an error that it is told of; it has to be told where an answer has begun.
            start_response("500 Internal Server Error", _HEADERS, *([sys.exc_info()] if started else []))
            return [_BODY]

    return answer
