"""Ask a Keystone for tokens for a while; runs on a machine of the model, with nothing but Python's own library.

    tokens.py URL-OR-SOCKET CA SECONDS CLIENTS <request

`request` is the body of POST /v3/auth/tokens. Each client asks again when it was answered, over a new connection each time, as
programs that log in do. Prints the times of the answers in seconds, a list in JSON.
"""

import http.client
import json
import socket
import ssl
import sys
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

CREATED = 201


class Local(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def connection(where, context):
    if where.startswith("/"):
        return Local(where)
    return http.client.HTTPSConnection(urllib.parse.urlsplit(where).netloc, context=context)


def ask(where, context, body, until):
    times = []
    while (begun := time.monotonic()) < until:
        link = connection(where, context)
        link.request("POST", "/v3/auth/tokens", body, {"Content-Type": "application/json"})
        answer = link.getresponse()
        answer.read()
        link.close()
        assert answer.status == CREATED, answer.status
        times.append(time.monotonic() - begun)
    return times


def main(where, ca, seconds, clients):
    body, context = sys.stdin.buffer.read(), ssl.create_default_context(cafile=ca)
    until = time.monotonic() + float(seconds)
    with ThreadPoolExecutor(int(clients)) as pool:
        asked = [pool.submit(ask, where, context, body, until) for _ in range(int(clients))]
    json.dump([taken for client in asked for taken in client.result()], sys.stdout)


main(*sys.argv[1:])
