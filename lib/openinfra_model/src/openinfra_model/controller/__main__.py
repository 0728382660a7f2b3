"""The controller's process: `python -m openinfra_model.controller`."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
from typing import IO, TYPE_CHECKING, Any

from openinfra_model.charm import CharmError
from openinfra_model.controller.agents import LINE_LIMIT, AgentLostError
from openinfra_model.controller.service import Service
from openinfra_model.core.errors import ModelError
from openinfra_model.document import DocumentError
from openinfra_model.machines.containers import Containers
from openinfra_model.machines.daemon import lxd_directory
from openinfra_model.machines.lxd import Lxd
from openinfra_model.paths import Paths
from openinfra_model.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def main() -> None:
    """Serve the command line and the machines until SIGTERM."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    paths = Paths()
    paths.run.mkdir(parents=True, exist_ok=True)
    with _lock(paths.controller_pid):
        store = Store(paths.database)
        asyncio.run(_serve(Service(store, Containers(Lxd(lxd_directory(paths)), paths), paths), paths))
        store.close()


def _lock(path: Path) -> IO[str]:
    """Be the only controller, until the returned file is closed."""
    file = path.open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("another controller runs already")
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


async def _serve(service: Service, paths: Paths) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, service.stop)
    path = paths.controller_socket
    path.unlink(missing_ok=True)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line:
            writer.write(json.dumps(await _answer(service, json.loads(line))).encode() + b"\n")
            await writer.drain()
        writer.close()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run())
        await asyncio.sleep(0)  # the models are loaded before the first question
        server = await asyncio.start_unix_server(accept, path, limit=LINE_LIMIT)
        path.chmod(0o600)
    server.close()


async def _answer(service: Service, question: dict[str, Any]) -> dict[str, Any]:
    """Answer one line of the command line: `verb`, `model`, `arguments`; with `result` or `error`."""
    try:
        return {"result": await service.call(question["verb"], question["model"], question["arguments"])}
    except (ModelError, CharmError, DocumentError, AgentLostError) as error:
        return {"error": str(error)}


if __name__ == "__main__":
    main()
