"""The controller's process: `python -m openinfra_model.controller`."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import sys
from typing import IO, TYPE_CHECKING

from openinfra_model.controller.server import serve
from openinfra_model.controller.service import Service
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
        service = Service(store, Containers(Lxd(lxd_directory(paths)), paths), paths)
        asyncio.run(_serve_until_terminated(service, paths.controller_socket))
        store.close()


async def _serve_until_terminated(service: Service, path: Path) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, service.stop)
    await serve(service, path)


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


if __name__ == "__main__":
    main()
