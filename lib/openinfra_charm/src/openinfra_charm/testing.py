"""A machine in memory, for tests and rehearsals: it has files, packages and services, and runs no program.

Programs that a workload calls are answered by handlers, Python functions that a test or a software twin brings.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.machine import CommandError, Machine, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Handler = "Callable[[tuple[str, ...], str | None], Result | str | None]"


@dataclass
class Node:
    """What is under a name: text, or a folder (`content` is None), or a link."""

    content: str | None
    mode: int
    owner: tuple[str, str]
    link: str | None = None


class MemoryMachine(Machine):
    """A machine that exists only in this object.

    `log` holds every change in words, so that a test can say "and then nothing changed".
    `handlers` maps a program's name to a function `(argv, stdin)` that returns its Result or its output.
    """

    def __init__(self, hostname: str = "machine-0") -> None:
        self.name = hostname
        self.nodes: dict[str, Node] = {}
        self.packages: dict[str, str] = {}
        self.services: dict[str, str] = {}
        self.enabled: set[str] = set()
        self.masked: set[str] = set()
        self.handlers: dict[str, Callable[[tuple[str, ...], str | None], Result | str | None]] = {}
        self.libraries: dict[str, Any] = {}
        self.clock = 1_000_000.0
        self.kind = "lxc"
        self.log: list[str] = []

    # Processes

    def run(
        self,
        *argv: str,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        check: bool = True,
    ) -> Result:
        """Let the program's handler answer.

        Raises:
            CommandError: As a real program would, with exit code 127 where there is no handler.
        """
        del env, timeout
        handler = self.handlers.get(argv[0])
        answer = handler(argv, stdin) if handler else Result(code=127, stdout="", stderr="command not found")
        result = answer if isinstance(answer, Result) else Result(code=0, stdout=answer or "", stderr="")
        if check and result.code:
            raise CommandError(argv, result.code, result.stderr)
        return result

    def load_library(self, name: str) -> Any:
        """Return the twin's library."""
        if name not in self.libraries:
            raise ImportError(f"No module named {name!r}")
        return self.libraries[name]

    # Files

    def _follow(self, path: str) -> str:
        node = self.nodes.get(path)
        return (
            self._follow(posixpath.join(posixpath.dirname(path), node.link)) if node and node.link else path
        )

    def read(self, path: str) -> str | None:
        """Return a text file's content."""
        node = self.nodes.get(self._follow(path))
        return node.content if node else None

    def write(
        self, path: str, content: str, *, mode: int = 0o644, user: str = "root", group: str = "root"
    ) -> bool:
        """Make a file hold `content`."""
        new = Node(content=content, mode=mode, owner=(user, group))
        if self.nodes.get(path) == new:
            return False
        self.nodes[path] = new
        self.log.append(f"write {path}")
        return True

    def remove(self, path: str) -> bool:
        """Remove a file or folder."""
        gone = [name for name in self.nodes if name == path or name.startswith(f"{path}/")]
        for name in gone:
            del self.nodes[name]
        if gone:
            self.log.append(f"remove {path}")
        return bool(gone)

    def make_folder(self, path: str, *, mode: int = 0o755, user: str = "root", group: str = "root") -> bool:
        """Make a folder."""
        new = Node(content=None, mode=mode, owner=(user, group))
        if self.nodes.get(path) == new:
            return False
        self.nodes[path] = new
        self.log.append(f"make folder {path}")
        return True

    def link(self, path: str, target: str) -> bool:
        """Make a symbolic link."""
        new = Node(content=None, mode=0o777, owner=("root", "root"), link=target)
        if self.nodes.get(path) == new:
            return False
        self.nodes[path] = new
        self.log.append(f"link {path} to {target}")
        return True

    def allocate(self, path: str, size: int, *, user: str = "root", group: str = "root") -> None:
        """Make a sparse file; its content reads as its size in words."""
        if path in self.nodes:
            raise FileExistsError(path)
        self.nodes[path] = Node(content=f"{size} bytes of nothing", mode=0o600, owner=(user, group))
        self.log.append(f"allocate {path}")

    def exists(self, path: str) -> bool:
        """Return whether there is anything under this name."""
        return path in self.nodes or any(name.startswith(f"{path}/") for name in self.nodes)

    def list_folder(self, path: str) -> list[str]:
        """Return the names in a folder."""
        inside = (name.removeprefix(f"{path}/") for name in self.nodes if name.startswith(f"{path}/"))
        return sorted({name.split("/")[0] for name in inside})

    def resolve(self, path: str) -> str:
        """Return the path with its links followed."""
        return self._follow(path)

    def free_space(self, path: str) -> int:
        """There is a TiB free everywhere."""
        del path
        return 1 << 40

    def change_owner(self, path: str, *, user: str, group: str) -> None:
        """Give a file another owner."""
        self.nodes[self._follow(path)].owner = (user, group)

    # Packages

    def package_versions(self, names: Iterable[str]) -> dict[str, str]:
        """Return the versions of those packages that are installed."""
        return {name: self.packages[name] for name in names if name in self.packages}

    def install_packages(self, names: Iterable[str]) -> None:
        """Install packages, all in version 1.0."""
        wanted = tuple(names)
        self.packages.update(dict.fromkeys(wanted, "1.0"))
        self.log.append(f"install {' '.join(wanted)}")

    def remove_packages(self, names: Iterable[str]) -> None:
        """Remove packages."""
        for name in names:
            del self.packages[name]
            self.log.append(f"uninstall {name}")

    # Services

    def reload_systemd(self) -> None:
        """Nothing to read again."""
        self.log.append("reload systemd")

    def service_states(self, *units: str) -> dict[str, str]:
        """Return each unit's state."""
        return {unit: self.services.get(unit, "inactive") for unit in units}

    def enabled_services(self, *units: str) -> set[str]:
        """Return those units that start with the machine."""
        return self.enabled & set(units)

    def enable_services(self, *units: str) -> None:
        """Let units start with the machine."""
        self.enabled |= set(units)
        self.log.append(f"enable {' '.join(units)}")

    def start_services(self, *units: str) -> None:
        """Start units."""
        self.services.update(dict.fromkeys(units, "active"))
        self.log.append(f"start {' '.join(units)}")

    def restart_services(self, *units: str) -> None:
        """Restart units."""
        self.services.update(dict.fromkeys(units, "active"))
        self.log.append(f"restart {' '.join(units)}")

    def reload_services(self, *units: str) -> None:
        """Reload units."""
        self.log.append(f"reload {' '.join(units)}")

    def stop_services(self, *units: str) -> None:
        """Stop and disable units."""
        self.services.update(dict.fromkeys(units, "inactive"))
        self.enabled -= set(units)
        self.log.append(f"stop {' '.join(units)}")

    def mask_services(self, *units: str) -> None:
        """Mask units."""
        self.masked |= set(units)
        self.log.append(f"mask {' '.join(units)}")

    # Facts

    def hostname(self) -> str:
        """Return the machine's name."""
        return self.name

    def boot_id(self) -> str:
        """Return the id of this start."""
        return "boot-1"

    def virtualization(self) -> str:
        """Return what kind of machine it plays."""
        return self.kind

    def now(self) -> float:
        """Return the time of the machine's own clock."""
        return self.clock

    def sleep(self, seconds: float) -> None:
        """Let the machine's clock go on."""
        self.clock += seconds
