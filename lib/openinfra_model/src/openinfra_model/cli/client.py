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
        with self._connect() as connection:
            question = {"verb": verb, "model": self.model, "arguments": arguments}
            connection.sendall(json.dumps(question).encode() + b"\n")
            line = connection.makefile("rb").readline()
        if not line:
            raise CliError(f"the controller ended while it answered: see {self.paths.log / 'controller.log'}")
        answer: Mapping[str, Any] = json.loads(line)
        if "error" in answer:
            raise CliError(answer["error"])
        return answer["result"]

    def _connect(self) -> socket.socket:
        connection = self._try_to_connect()
        if connection is None:
            self._start()
            deadline = time.monotonic() + _START_SECONDS
            while (connection := self._try_to_connect()) is None:
                if time.monotonic() > deadline:
                    raise CliError(f"the controller does not start: see {self.paths.log / 'controller.log'}")
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
            raise CliError("the model belongs to root: run the command again with sudo") from error
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
                raise CliError(f"{', '.join(missing)} missing on this machine: run `./openinfra up` first")
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
