"""The WSGI application of an OpenStack service, and beside it what a load balancer asks: GET /openinfra/health.

It runs in the service's own process, from its release tree. Whether the service can do its work says `openinfra_health`, since many
services answer 200 to `/` without their database. The answer is kept for a second, so that nobody can make the database work by asking.
"""

import importlib
import os
import threading
import time

from openinfra_errors import guarded

PATH = "/openinfra/health"
PAUSED = os.environ["OPENINFRA_PAUSED"]
KEEP_SECONDS = 1

_module, _, _name = os.environ["OPENINFRA_WSGI"].partition(":")
_service = guarded(getattr(importlib.import_module(_module), _name))
# It asks a service that has been set up.
_health = importlib.import_module("openinfra_health")
_lock = threading.Lock()
_known = (0.0, "")


def application(environ, start_response):
    """Answer a request (PEP 3333)."""
    global _known
    if environ.get("PATH_INFO") != PATH:
        return _service(environ, start_response)
    with _lock:
        asked, why = _known
        if time.monotonic() - asked > KEEP_SECONDS:
            why = "paused" if os.path.exists(PAUSED) else _health.problem()
            _known = (time.monotonic(), why)
    start_response("503 Service Unavailable" if why else "200 OK", [("Content-Type", "text/plain")])
    return [f"{why or 'healthy'}\n".encode()]
