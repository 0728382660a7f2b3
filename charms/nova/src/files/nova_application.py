"""Nova's WSGI applications, `compute` and `metadata`; the import fails where one has kept an error of its start.

Such a one answers every request with it until it is started again. So it is asked for its versions, which it has without a database and
without a token; a process that cannot import it ends, and systemd starts it again.
"""

import importlib
import io

MODULES = {"compute": "nova.wsgi.osapi_compute", "metadata": "nova.wsgi.metadata"}
REQUEST = {
    "REQUEST_METHOD": "GET", "PATH_INFO": "/", "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost", "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http", "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
}  # fmt: skip
FIRST_ERROR = 400


class StartError(Exception):
    """The application has not started as it should; the message is what it answers."""


def __getattr__(name):
    """Return an application that serves."""
    if name not in MODULES:
        raise AttributeError(name)
    application = importlib.import_module(MODULES[name]).application
    said = []
    environ = {**REQUEST, "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO()}
    body = application(environ, lambda status, *_: said.append(status))
    # One that has failed answers with text, where it has to be bytes.
    text = "".join(part if isinstance(part, str) else part.decode(errors="replace") for part in body)
    if int(said[-1].partition(" ")[0]) >= FIRST_ERROR:
        raise StartError(f"{said[-1]}: {text.strip()}")
    return application
