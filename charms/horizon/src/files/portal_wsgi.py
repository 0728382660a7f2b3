"""The portal: Horizon, beside it its static files, and what every answer says to browsers.

Static files are below `/static/<release tree>/`. Each is what it is for as long as its tree exists, so browsers never ask twice. While
units switch to another tree, each of them serves the files of both: a page comes from one unit and what it refers to from another one.

`/openinfra/ready` answers 200 where the page to log in is shown and Keystone is reached; see also `openinfra_health`.
"""

import io
import logging
import mimetypes
import os
import random
import re
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path

# What follows finds its settings by it.
os.environ["DJANGO_SETTINGS_MODULE"] = "portal_settings"

import django.core.wsgi
import requests
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils.module_loading import import_string

READY = "/openinfra/ready"
LOGIN = "/auth/login/"
YEAR = 31536000
SWEEP_SECONDS = 3600
STALE_SECONDS = 86400
"""How old what an interrupted upload has left may get."""
KEYSTONE_SECONDS = 4
_STATIC = re.compile(r"/static/([0-9]+\.[0-9]+-[0-9a-f]+)/(.+)")
_LOG = logging.getLogger("horizon.portal")


def headers(console_origins):
    """Return what every answer says to browsers: what a page may load, and that this host speaks TLS only.

    Horizon's pages have scripts in them, and AngularJS makes functions of texts.
    """
    frames = " ".join(["'self'", *console_origins])
    policy = (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        # Images are uploaded from the browser to Glance itself, where that is set.
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self' https:; "
        f"frame-src {frames}; frame-ancestors 'self'; object-src 'none'; base-uri 'self'"
    )
    return [
        ("Content-Security-Policy", policy),
        ("Strict-Transport-Security", f"max-age={YEAR}"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
    ]


class Static:
    """The static files of all release trees of an application."""

    def __init__(self, trees):
        self._trees = Path(trees).resolve()

    def find(self, path):
        """Return the file that a path names, and None where there is none."""
        match = _STATIC.fullmatch(path)
        if not match:
            return None
        folder = self._trees / match[1] / "made/static"
        found = (folder / match[2]).resolve()
        return found if found.is_relative_to(folder.resolve()) and found.is_file() else None

    def answer(self, environ, start_response):
        """Answer a request for one (PEP 3333)."""
        found = self.find(environ["PATH_INFO"])
        method = environ["REQUEST_METHOD"]
        if found is None or method not in {"GET", "HEAD"}:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"not found\n"]
        kind = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
        compressed = found.with_name(f"{found.name}.gz")
        said = [
            ("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind),
            ("Cache-Control", f"public, max-age={YEAR}, immutable"),
            ("Last-Modified", formatdate(found.stat().st_mtime, usegmt=True)),
        ]
        if compressed.is_file():
            said.append(("Vary", "Accept-Encoding"))
            if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
                found = compressed
                said.append(("Content-Encoding", "gzip"))
        start_response("200 OK", [*said, ("Content-Length", str(found.stat().st_size))])
        return [] if method == "HEAD" else [found.read_bytes()]


class Portal:
    """Horizon, and what belongs to it."""

    def __init__(self, horizon, static, said):
        self._horizon = horizon
        self._static = static
        self._said = said

    def __call__(self, environ, start_response):
        """Answer a request (PEP 3333)."""
        path = environ.get("PATH_INFO", "")

        def start(status, said, *more):
            names = {name.lower() for name, _ in said}
            return start_response(
                status, [*said, *(one for one in self._said if one[0].lower() not in names)], *more
            )

        if path.startswith("/static/"):
            return self._static.answer(environ, start)
        if path == READY:
            why = why_not_ready(self)
            start("503 Service Unavailable" if why else "200 OK", [("Content-Type", "text/plain")])
            return [f"{why or 'ready'}\n".encode()]
        return self._horizon(environ, start)

    def why_no_login(self):
        """Return why the page to log in is not shown, empty if it is."""
        told = []
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": LOGIN,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "localhost",
            "HTTP_X_FORWARDED_PROTO": "https",
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
        }
        answer = self(environ, lambda status, *_: told.append(status))
        page = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        if not told[0].startswith("200 "):
            return f"the page to log in is answered {told[0]}"
        return "" if b'name="password"' in page else "the page to log in has no form"


def why_not_ready(portal):
    """Return why nobody can log in here, empty if that can be done."""
    if why := portal.why_no_login():
        return why
    try:
        answer = requests.get(
            settings.OPENSTACK_KEYSTONE_URL, verify=settings.OPENSTACK_SSL_CACERT, timeout=KEYSTONE_SECONDS
        )
    except (OSError, requests.RequestException) as error:
        return f"Keystone is not reached: {type(error).__name__}"
    return "" if answer.ok else f"Keystone answers {answer.status_code}"


def sweep():
    """Remove sessions that are over, and what interrupted uploads have left."""
    try:
        import_string(f"{settings.SESSION_ENGINE}.SessionStore").clear_expired()
    except DatabaseError as error:
        _LOG.warning("sessions that are over are not removed now: %s", error)
    finally:
        connection.close()
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*.upload*"):
        if time.time() - path.stat().st_mtime > STALE_SECONDS:
            path.unlink(missing_ok=True)


def _sweep_for_ever():
    while True:
        # Units and their processes do it at different times.
        time.sleep(SWEEP_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311  it guards nothing
        sweep()


def _uploads():
    """Make the folder of uploads: on the disk, since images are large."""
    Path(settings.FILE_UPLOAD_TEMP_DIR).mkdir(mode=0o700, exist_ok=True)


application = Portal(
    django.core.wsgi.get_wsgi_application(),
    Static(settings.RELEASE_TREES),
    headers(settings.CONSOLE_ORIGINS),
)
_uploads()
threading.Thread(target=_sweep_for_ever, daemon=True).start()
