"""Commands to the cluster's monitors as an administrator, over librados (package python3-rados)."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

CONFIG = "/etc/ceph/ceph.conf"
KEYRING = "/etc/ceph/ceph.client.admin.keyring"


class UnreachableError(Exception):
    """The monitors did not answer in time: there is no quorum, or no way to it."""


class CommandRefusedError(Exception):
    """The monitors refused a command; `code` is the errno."""

    def __init__(self, prefix: str, code: int, message: str) -> None:
        self.code = code
        super().__init__(f"ceph {prefix}: {message or f'error {code}'}")


class Admin:
    """One connection to the monitors, made when first needed."""

    def __init__(self, machine: Machine, timeout: int = 10) -> None:
        self._machine = machine
        self._timeout = timeout
        self._handle: Any = None

    def command(self, prefix: str, data: bytes = b"", /, **arguments: Any) -> Any:
        """Send a command and return its decoded JSON answer (None for an empty one).

        Args:
            prefix: The command's words, such as `osd tree` (Ceph: src/mon/MonCommands.h, src/mgr/MgrCommands.h).
            data: What the ceph program would read with `-i`.
            arguments: The command's arguments by their names.

        Raises:
            UnreachableError: No monitor answered within the time limit.
            CommandRefusedError: The command was refused.
        """
        return self._send("mon_command", prefix, data, arguments)

    def manager_command(self, prefix: str, **arguments: Any) -> Any:
        """Send one of those commands of the manager that the monitors do not pass on to it (`osd purge`).

        Raises:
            UnreachableError: No manager answered within the time limit.
            CommandRefusedError: The command was refused.
        """
        return self._send("mgr_command", prefix, b"", arguments)

    def stored(self, key: str) -> Any:
        """Return what the cluster's config-key store has under a key, decoded; None if nothing.

        Raises:
            UnreachableError: No monitor answered within the time limit.
        """
        try:
            return self.command("config-key get", key=key)
        except CommandRefusedError:
            return None

    def _send(self, way: str, prefix: str, data: bytes, arguments: dict[str, Any]) -> Any:
        rados = self._machine.load_library("rados")
        request = json.dumps({"prefix": prefix, "format": "json", **arguments})
        try:
            send = getattr(self._connect(rados), way)
            code, output, message = send(request, data, timeout=self._timeout)
        except rados.Error as error:
            self.close()
            if getattr(error, "errno", 0) == errno.EACCES:
                why = "the monitors do not take this unit's key: where rotate-key has replaced it, the next hook brings the new one"
                raise UnreachableError(why) from error
            raise UnreachableError(f"no monitor answers: {error}") from error
        if code == -errno.ETIMEDOUT:
            self.close()
            raise UnreachableError(f"no monitor answered {prefix!r} within {self._timeout} s")
        if code < 0:
            raise CommandRefusedError(prefix, -code, message)
        return json.loads(output) if output.strip() else None

    def close(self) -> None:
        """Give the connection up; the next command makes a new one."""
        if self._handle is not None:
            self._handle.shutdown()
            self._handle = None

    def _connect(self, rados: Any) -> Any:
        if self._handle is None:
            seconds = str(self._timeout)
            handle = rados.Rados(
                conffile=CONFIG,
                name="client.admin",
                conf={
                    "keyring": KEYRING,
                    "client_mount_timeout": seconds,
                    "rados_mon_op_timeout": seconds,
                },
            )
            handle.connect(timeout=self._timeout)
            self._handle = handle
        return self._handle
