"""Where the engine keeps its things on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    """The engine's directories, all below `root` (another root than `/` serves tests)."""

    root: Path = Path("/")

    @property
    def state(self) -> Path:
        """What must survive a reboot: the model's database and the machines' `/var/lib/juju`."""
        return self.root / "var/lib/openinfra"

    @property
    def cache(self) -> Path:
        """What can be built again: machine images."""
        return self.root / "var/cache/openinfra"

    @property
    def log(self) -> Path:
        """Log files of the daemons and of every unit."""
        return self.root / "var/log/openinfra"

    @property
    def run(self) -> Path:
        """Sockets and process ids; gone after a reboot."""
        return self.root / "run/openinfra"

    @property
    def database(self) -> Path:
        """The controller's only truth."""
        return self.state / "controller.db"

    @property
    def controller_socket(self) -> Path:
        """Where the controller answers the command line."""
        return self.run / "controller.socket"

    @property
    def controller_pid(self) -> Path:
        """The lock that one controller holds; its text is the process id."""
        return self.run / "controller.pid"

    def machine(self, instance_id: str) -> Path:
        """The directory that a machine sees as its `/var/lib/juju`."""
        return self.state / "machines" / instance_id
