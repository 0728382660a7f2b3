"""Answers whether clients may be sent to this machine's MariaDB: 200 where they may, else 503 and why.

    health-service.py ADDRESS PORT FILES

`/synced` asks whether the server is in the primary component and complete. `/` also lets one pass that gives a joining
member its data, as long as no other member is complete. It needs only Python itself, and runs without Juju.

The file FILES names the chain, the key and the CA, a line each; an empty one has it speak in clear. What is new there,
and a renewed certificate, is taken for the next connection.
"""

from __future__ import annotations

import http.client
import http.server
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import cast

QUERY = "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_cluster_status', 'wsrep_local_state_comment', 'wsrep_incoming_addresses');"
CLIENT = (
    "mariadb",
    "--no-defaults",
    "--batch",
    "--skip-column-names",
    "--socket=/run/mysqld/mysqld.sock",
    "--connect-timeout=2",
)
SECONDS = 3
FRESH = 0.5
"""For how many seconds an answer is given again, however many ask."""


class Server(http.server.ThreadingHTTPServer):
    """Listens on one address, with TLS if there is a certificate."""

    daemon_threads = True

    def __init__(self, address: str, port: int, files: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.address, self.port = address, port
        self._files = Path(files)
        self._lock = threading.Lock()
        self._asked = 0.0
        self._status: dict[str, str] = {}
        super().__init__((address, port), Handler)

    def get_request(self) -> tuple[socket.socket, object]:
        """Take a connection; the handshake is the handler's, so that nobody can hold up the others with it."""
        connection, client = super().get_request()
        connection.settimeout(SECONDS)
        if files := self.files():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*files[:2])
            connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, client

    def files(self) -> list[str]:
        """Return the chain, the key and the CA; nothing where all is in clear."""
        return self._files.read_text(encoding="utf-8").split()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that go away in the middle, or whose handshake fails."""

    def status(self) -> dict[str, str]:
        """Return what the server says of itself; nothing where it does not answer."""
        with self._lock:
            if time.monotonic() - self._asked > FRESH:
                try:
                    done = subprocess.run(
                        CLIENT, input=QUERY, capture_output=True, text=True, timeout=SECONDS, check=False
                    )
                    rows = (line.partition("\t") for line in done.stdout.splitlines())
                    self._status = {name: value for name, _, value in rows}
                except subprocess.TimeoutExpired:
                    self._status = {}
                self._asked = time.monotonic()
            return self._status

    def others_synced(self, addresses: str) -> bool:
        """Return whether another member is complete."""
        hosts = {address.rpartition(":")[0] for address in addresses.split(",")} - {
            self.address,
            f"[{self.address}]",
            "",
        }
        return any(self._is_synced(host) for host in hosts)

    def _is_synced(self, host: str) -> bool:
        connection = http.client.HTTPConnection(host, self.port, timeout=SECONDS)
        if files := self.files():
            context = ssl.create_default_context(cafile=files[2])
            connection = http.client.HTTPSConnection(host, self.port, timeout=SECONDS, context=context)
        try:
            connection.request("GET", "/synced")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """Answer."""
        server = cast("Server", self.server)
        status = server.status()
        state = status.get("wsrep_local_state_comment", "no answer")
        is_primary = status.get("wsrep_cluster_status") == "Primary" and status.get("wsrep_ready") == "ON"
        healthy = is_primary and state == "Synced"
        if self.path != "/synced" and is_primary and state == "Donor/Desynced":
            healthy = not server.others_synced(status.get("wsrep_incoming_addresses", ""))
        body = f"{'Primary' if is_primary else 'not in the primary component'}, {state}\n".encode()
        self.send_response(200 if healthy else 503)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name is the library's
        """Say nothing: it is asked every other second."""


if __name__ == "__main__":
    Server(sys.argv[1], int(sys.argv[2]), sys.argv[3]).serve_forever()
