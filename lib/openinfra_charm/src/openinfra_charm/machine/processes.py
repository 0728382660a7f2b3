"""Programs, servers and the time, as the machine has them."""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType


class CommandError(Exception):
    """A program ended with an exit code that its caller did not expect."""

    def __init__(self, argv: Sequence[str], code: int, stderr: str) -> None:
        self.argv = tuple(argv)
        self.code = code
        self.stderr = stderr
        super().__init__(f"{argv[0]} ended with exit code {code}: {stderr.strip() or 'no error output'}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a finished program left: its exit code and its two outputs, decoded as UTF-8."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a server has answered: its HTTP status, its headers with their names in lower case, and its body."""

    status: int
    headers: Mapping[str, str]
    body: str


def _answer(response: http.client.HTTPResponse) -> Answer:
    text = response.read().decode(errors="replace")
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(status=response.status, headers=headers, body=text)


class Processes:
    """What runs on the machine and elsewhere, asked and waited for."""

    def run(
        self,
        *argv: str,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        check: bool = True,
    ) -> Result:
        """Run a program to its end.

        Args:
            argv: The program and its arguments; no shell is involved.
            stdin: Text for its standard input; secrets go this way, never in `argv`.
            env: Variables added to the environment.
            timeout: Seconds after which it is killed.
            check: Whether an exit code other than 0 is an error.

        Raises:
            CommandError: The exit code is not 0 and `check` is set.
            TimeoutError: The program ran longer than `timeout`.
        """
        try:
            done = subprocess.run(
                argv,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                errors="replace",
                env={**os.environ, **(env or {})},
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{argv[0]} did not end within {timeout:g} s") from error
        if check and done.returncode:
            raise CommandError(argv, done.returncode, done.stderr)
        return Result(code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def ask(
        self,
        socket_path: str,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        timeout: float = 10,
    ) -> Answer:
        """Send an HTTP request to a daemon on this machine, over its unix socket.

        Args:
            socket_path: The socket.
            method: Such as `GET`.
            path: Such as `/v3/users?name=admin`.
            headers: Headers of the request; credentials go here or into the body, and nowhere else.
            body: What is sent.
            timeout: Seconds that each step may take.

        Raises:
            OSError: Nobody listens there, or no answer came.
        """
        # Imported here: a hook with nothing new asks nobody.
        import http.client  # noqa: PLC0415

        with contextlib.closing(http.client.HTTPConnection("localhost", timeout=timeout)) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(timeout)
            connection.sock.connect(socket_path)
            try:
                connection.request(method, path, body=body, headers=dict(headers or {}))
                return _answer(connection.getresponse())
            except http.client.HTTPException as error:
                raise ConnectionError(f"{socket_path}: {error or type(error).__name__}") from error

    def exchange(self, socket_path: str, data: bytes, *, timeout: float = 10) -> bytes:
        """Send bytes to a daemon on this machine over its unix socket; return what it answers until it hangs up.

        Args:
            socket_path: The socket.
            data: What is sent.
            timeout: Seconds that each step may take.

        Raises:
            OSError: Nobody listens there, or no answer came.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(socket_path)
            connection.sendall(data)
            parts: list[bytes] = []
            while part := connection.recv(1 << 16):
                parts.append(part)
        return b"".join(parts)

    def fetch(self, url: str, *, ca_path: str = "", timeout: float = 10) -> Answer:
        """Send a GET request to a daemon on any machine.

        Args:
            url: Such as `https://10.0.0.11:15000/openinfra/health`.
            ca_path: The file of the CA certificates that its own is checked with; `http` needs none.
            timeout: Seconds that each step may take.

        Raises:
            OSError: Nobody listens there, its certificate is not to be trusted, or no answer came.
        """
        # Imported here: a hook asks no other machine.
        import http.client  # noqa: PLC0415
        import ssl  # noqa: PLC0415
        from urllib.parse import urlsplit  # noqa: PLC0415

        where = urlsplit(url)
        host = where.hostname or ""
        connection = http.client.HTTPConnection(host, where.port, timeout=timeout)
        if where.scheme == "https":
            context = ssl.create_default_context(cafile=ca_path)
            connection = http.client.HTTPSConnection(host, where.port, timeout=timeout, context=context)
        with contextlib.closing(connection):
            try:
                connection.request("GET", where.path)
                return _answer(connection.getresponse())
            except http.client.HTTPException as error:
                raise ConnectionError(f"{url}: {error or type(error).__name__}") from error

    def load_library(self, name: str) -> ModuleType:
        """Import a Python module that a distribution package brings (such as `rados`).

        Raises:
            ImportError: The package that holds it is not installed.
        """
        # The charm's own search path hides the distribution's modules only if something shadows them.
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, but no longer than this; return whether it is."""
        limit = self.now() + seconds
        while not condition():
            if self.now() + 1 > limit:
                return False
            self.sleep(1)
        return True
