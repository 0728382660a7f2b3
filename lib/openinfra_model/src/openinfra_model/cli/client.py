"""The command line's way to the controller."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openinfra_model.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Mapping

_START_SECONDS = 20
READ_ONLY = (
    "show_", "status", "models", "activity", "constraints", "leader", "instance", "log_file", "wait_for_operation",
)  # fmt: skip
"""How the names of verbs begin that change nothing: they may be asked again."""


class CliError(Exception):
    """What was asked for cannot be done; the message goes to the operator."""


@dataclass(frozen=True, slots=True)
class Client:
    """Asks the controller, which is started when it does not run."""

    model: str = ""
    paths: Paths = field(default_factory=Paths)

    def call(self, verb: str, **arguments: Any) -> Any:
        """Ask one thing and return the answer.

        Raises:
            CliError: the controller refused, or there is none.
        """
        question = {"verb": verb, "model": self.model, "arguments": arguments}
        line = self._ask(question)
        if not line and verb.startswith(READ_ONLY):
            line = self._ask(question)
        if not line:
            raise CliError(
                "the controller stopped before it answered: see `openinfra status` for whether the command took effect, "
                f"and {self.paths.log / 'controller.log'} for why it stopped"
            )
        answer: Mapping[str, Any] = json.loads(line)
        if "error" in answer:
            raise CliError(answer["error"])
        return answer["result"]

    def _ask(self, question: Mapping[str, Any]) -> bytes:
        """Return the answer, empty where the controller ends before it."""
        try:
            with self._connect() as connection:
                connection.sendall(json.dumps(question).encode() + b"\n")
                return connection.makefile("rb").readline()
        except (BrokenPipeError, ConnectionResetError):
            return b""

    def _connect(self) -> socket.socket:
        connection = self._try_to_connect()
        if connection is None:
            self._start()
            deadline = time.monotonic() + _START_SECONDS
            while (connection := self._try_to_connect()) is None:
                if time.monotonic() > deadline:
                    raise CliError(
                        f"the controller did not start within {_START_SECONDS} s: see {self.paths.log / 'controller.log'}"
                    )
                time.sleep(0.05)
        return connection

    def _try_to_connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self.paths.controller_socket))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None
        except PermissionError as error:
            connection.close()
            raise CliError("only root can reach the controller: run the command again with sudo") from error
        return connection

    def _start(self) -> None:
        """Start LXD, if it does not run, and the controller."""
        from openinfra_model import host
        from openinfra_model.cli.project import ROOT
        from openinfra_model.machines import daemon
        from openinfra_model.machines.lxd import LxdError

        try:
            host.require_root()
            if missing := host.missing_packages():
                raise CliError(
                    f"packages are missing on this machine ({', '.join(missing)}): run `./openinfra up` first"
                )
            daemon.start(self.paths, ROOT / "bundles" / "lxd-profile.yaml")
        except (host.HostError, LxdError) as error:
            raise CliError(str(error)) from error
        with (self.paths.log / "controller.log").open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-m", "openinfra_model.controller"],
                cwd="/",
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
