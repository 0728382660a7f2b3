"""A controller in a thread, whose machines are threads too: everything but LXD and the charm's own process is real."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openinfra_model.cli.client import Client
from openinfra_model.controller.server import serve
from openinfra_model.controller.service import Service
from openinfra_model.inside import hook_tool
from openinfra_model.machines.containers import prepare_directory
from openinfra_model.paths import Paths
from openinfra_model.store import Store

# What a charm does when it is dispatched: (tool, environment, request) -> exit code
Charm = Callable[[Callable[..., list[str]], dict[str, str], dict[str, Any]], int]


def say_active(tool, environment, _request) -> int:
    """Be a charm that only says that it is active."""
    if environment.get("JUJU_DISPATCH_PATH", "").startswith("hooks/"):
        tool("status-set", "active", "ready")
    return 0


class Machines:
    """Stands for Containers: a machine is an agent that hands what it is to run to `charm`."""

    def __init__(self, paths: Paths) -> None:
        self.charm: Charm = say_active
        self.created: list[str] = []
        self.runs: list[dict[str, Any]] = []
        self._paths = paths
        self._connections: dict[str, socket.socket] = {}

    def create(self, instance_id: str, base: str) -> None:
        self.created.append(f"{instance_id} {base}")
        prepare_directory(self._paths.machine(instance_id))
        self.power_on(instance_id, "first boot")

    def remove(self, instance_id: str) -> None:
        self.power_off(instance_id)

    def restart(self, instance_id: str) -> None:
        self.power_off(instance_id)
        self.power_on(instance_id, "second boot")

    def power_on(self, instance_id: str, boot: str) -> None:
        threading.Thread(target=self._serve, args=(instance_id, boot), daemon=True).start()

    def power_off(self, instance_id: str) -> None:
        connection = self._connections.pop(instance_id, None)
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)

    def say(self, instance_id: str, message: dict[str, Any]) -> None:
        """Tell the controller something, as the agent of a machine does."""
        _say(self._connections[instance_id], message)

    def _serve(self, instance_id: str, boot: str) -> None:
        path = self._paths.machine(instance_id) / "controller.socket"
        connection = self._connections[instance_id] = _connect(path)
        link = {
            "name": "eth0",
            "mac": "00:16:3e:00:00:01",
            "addresses": ["10.0.0.7/24"],
            "gateway": "10.0.0.1",
        }
        _say(connection, {"hello": {"hostname": instance_id, "boot": boot, "interfaces": [link]}})
        for line in connection.makefile("r"):
            request = json.loads(line)
            self.runs.append(request)
            if "run" in request:
                threading.Thread(target=self._run, args=(connection, path, request), daemon=True).start()

    def _run(self, connection: socket.socket, path: Path, request: dict[str, Any]) -> None:
        environment = request["env"]

        def tool(*argv: str) -> list[str]:
            answer = hook_tool.ask(str(path), [environment["JUJU_CONTEXT_ID"], "", *argv])
            return [os.fsdecode(field) for field in answer]

        code = self.charm(tool, environment, request)
        _say(connection, {"exit": request["run"], "code": code})


class PatientClient(Client):
    """A client that never starts a controller, let alone LXD."""

    def _start(self) -> None:
        pytest.fail("the controller ended")


class Controller:
    """A controller's life: it can be ended and begun again over the same files."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.machines = Machines(paths)
        self.client = PatientClient("", paths)
        for directory in (paths.state, paths.run):
            directory.mkdir(parents=True)
        self.start()

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)))
        self._thread.start()
        assert ready.wait(10)

    def call_soon(self, function: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        self.call_soon(self.service.stop)
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()

    async def _run(self, ready: threading.Event) -> None:
        store = Store(self.paths.database)
        self._loop = asyncio.get_running_loop()
        self.service = Service(store, self.machines, self.paths)  # type: ignore[arg-type]
        self._loop.call_later(0.1, ready.set)
        await serve(self.service, self.paths.controller_socket)
        store.close()


@pytest.fixture
def controller():
    # pytest's own directories are too long for the path of a socket
    with tempfile.TemporaryDirectory(prefix="edge") as root:
        controller = Controller(Paths(Path(root)))
        yield controller
        controller.stop()


def _connect(path: Path) -> socket.socket:
    """Connect once the controller listens."""
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            threading.Event().wait(0.02)
        else:
            return connection


def _say(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")
