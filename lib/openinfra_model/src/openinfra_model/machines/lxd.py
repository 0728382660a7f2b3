"""LXD's REST API over its unix socket (https://documentation.ubuntu.com/lxd/latest/rest-api/)."""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NOT_FOUND = 404


class LxdError(Exception):
    """LXD refused a request; the message is LXD's own after what was asked."""

    def __init__(self, request: str, message: str, code: int) -> None:
        super().__init__(f"LXD: {request}: {message}")
        self.code = code


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("lxd")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


class Lxd:
    """A client of one LXD daemon. Calls block until LXD is done; it can be used from several threads."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def is_up(self) -> bool:
        """Tell whether the daemon answers."""
        try:
            self.request("GET", "/1.0")
        except OSError:
            return False
        return True

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send one request, wait for the operation that it starts, and return LXD's `metadata`.

        Raises:
            LxdError: LXD refused the request, or the operation failed.
            OSError: the daemon does not run.
        """
        answer = self._exchange(method, path, body)
        if answer["type"] == "async":
            answer = self._exchange("GET", answer["operation"] + "/wait", None)
            if answer["metadata"]["status_code"] >= http.client.BAD_REQUEST:
                raise LxdError(
                    f"{method} {path}", answer["metadata"]["err"], answer["metadata"]["status_code"]
                )
        return answer["metadata"]

    def exists(self, path: str) -> bool:
        """Tell whether the object at `path` exists."""
        try:
            self.request("GET", path)
        except LxdError as error:
            if error.code == _NOT_FOUND:
                return False
            raise
        return True

    def delete(self, path: str) -> None:
        """Delete the object at `path`; it is no error if there is none."""
        try:
            self.request("DELETE", path)
        except LxdError as error:
            if error.code != _NOT_FOUND:
                raise

    def set_state(self, instance: str, action: str, *, force: bool = False, timeout: int = 60) -> None:
        """Start, stop or restart an instance (`timeout` in seconds for an orderly stop)."""
        body = {"action": action, "force": force, "timeout": timeout}
        self.request("PUT", f"/1.0/instances/{quote(instance)}/state", body)

    def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        connection = _UnixConnection(self.directory / "unix.socket")
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer: dict[str, Any] = json.load(connection.getresponse())
        finally:
            connection.close()
        if answer["type"] == "error":
            raise LxdError(f"{method} {path}", answer["error"], answer["error_code"])
        return answer
