"""Containers as the machines of a model."""

from __future__ import annotations

import shutil
import threading
from importlib import resources
from typing import TYPE_CHECKING, Any

from openinfra_model.machines import loops
from openinfra_model.machines.daemon import OWNED, PROFILE, container_root
from openinfra_model.machines.folder import Folder
from openinfra_model.machines.image import ensure_image
from openinfra_model.machines.lxd import Lxd, LxdError

if TYPE_CHECKING:
    from pathlib import Path

    from openinfra_model.paths import Paths

JUJU_DIRECTORY = "/var/lib/juju"
_NOT_FOUND = 404


class Containers:
    """Makes, starts, stops and removes containers by their instance id. Calls block; several may run at once."""

    def __init__(self, lxd: Lxd, paths: Paths) -> None:
        self._lxd = lxd
        self._paths = paths
        self._image_lock = threading.Lock()

    def create(self, instance_id: str, base: str) -> None:
        """Make and start a container of `base` (such as `ubuntu@24.04`).

        A container of this name that is there already, half made by an earlier attempt, is removed first.

        Raises:
            HostError: there is no image of the base and none can be made.
            LxdError: LXD refuses the container.
        """
        self.remove(instance_id)
        with self._image_lock:
            image = ensure_image(self._lxd, base, self._paths.cache)
        directory = prepare_directory(self._paths.machine(instance_id))
        body: dict[str, Any] = {
            "name": instance_id,
            "source": {"type": "image", "alias": image},
            "profiles": [PROFILE],
            "config": OWNED,
            "devices": {"juju": {"type": "disk", "source": str(directory), "path": JUJU_DIRECTORY}},
        }
        self._lxd.request("POST", "/1.0/instances", body)
        self._lxd.set_state(instance_id, "start")

    def remove(self, instance_id: str) -> None:
        """Destroy a container and all that is in it; it is no error if there is none."""
        root, shared = container_root(self._lxd, instance_id), self._paths.machine(instance_id)
        loops.detach(lambda name: loops.places(root, shared, name))
        if self.is_running(instance_id):
            self._lxd.set_state(instance_id, "stop", force=True)
        self._lxd.delete(f"/1.0/instances/{instance_id}")
        shutil.rmtree(self._paths.machine(instance_id), ignore_errors=True)

    def restart(self, instance_id: str, *, force: bool = False) -> None:
        """Shut the machine down in order, unless forced, and start it again."""
        self._lxd.set_state(instance_id, "restart", force=force)

    def is_running(self, instance_id: str) -> bool:
        """Tell whether the container exists and is not stopped."""
        try:
            return self._lxd.request("GET", f"/1.0/instances/{instance_id}")["status"] != "Stopped"
        except LxdError as error:
            if error.code == _NOT_FOUND:
                return False
            raise


def prepare_directory(directory: Path) -> Path:
    """Make what a machine sees as `/var/lib/juju`, with the programs of the engine that run there."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("agents", "storage"):
        with Folder.opened(directory, name):
            pass
    for program, folders, name in (
        ("machine_agent.py", (), "machine-agent"),
        ("hook_tool.py", ("tools",), "hook_tool.py"),
        ("hook_tool.sh", ("tools",), "hook-tool"),
    ):
        text = resources.files("openinfra_model.inside").joinpath(program).read_bytes()
        with Folder.opened(directory, *folders) as folder:
            folder.write(name, text, 0o755)
    return directory
