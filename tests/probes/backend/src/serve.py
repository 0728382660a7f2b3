"""Answer each request over TLS with a name: serve.py ADDRESS PORT NAME CHAIN KEY.

A path /wait/N takes N seconds. A hangup signal has it read its certificate again.
"""

import http.server
import signal
import ssl
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    """Tells who answers, and keeps the connection."""

    protocol_version = "HTTP/1.1"
    timeout = 3600

    def do_GET(self) -> None:
        """Answer."""
        if self.path.startswith("/wait/"):
            time.sleep(float(self.path.rpartition("/")[2]))
        body = f"{sys.argv[3]}\n".encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        self.wfile.write(head + body)

    def log_message(self, *_: object, **__: object) -> None:
        """Say nothing."""


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[4], sys.argv[5])
signal.signal(signal.SIGHUP, lambda *_: context.load_cert_chain(sys.argv[4], sys.argv[5]))
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
