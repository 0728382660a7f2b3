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


class Disk:
    """The bytes of a block device or a sparse file: zeros but where something was written.

    `holder` names who has it open for itself alone; `rotates` and `discards` are what the kernel says of it.
    """

    def __init__(self, size: int, *, rotates: bool = True, discards: bool = False) -> None:
        self.size = size
        self.rotates = rotates
        self.discards = discards
        self.holder = ""
        self._written: dict[int, bytes] = {}

    def read(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from byte `offset` (negative: from the end)."""
        start = offset if offset >= 0 else max(self.size + offset, 0)
        content = bytearray(max(min(size, self.size - start), 0))
        for place, data in self._written.items():
            first, last = max(place, start), min(place + len(data), start + len(content))
            if first < last:
                content[first - start : last - start] = data[first - place : last - place]
        return bytes(content)

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` at byte `offset` (negative: from the end)."""
        start = offset if offset >= 0 else self.size + offset
        self.erase(start, len(data))
        self._written[start] = data

    def erase(self, offset: int, length: int) -> None:
        """Fill a range with zeros."""
        end = offset + length
        for place, data in list(self._written.items()):
            if place < end and offset < place + len(data):
                del self._written[place]
                if place < offset:
                    self._written[place] = data[: offset - place]
                if place + len(data) > end:
                    self._written[end] = data[end - place :]


@dataclass
class Node:
    """What is under a name: text, or bytes on a disk (`disk`), or a link, or else a folder."""

    content: str | None
    mode: int
    owner: tuple[str, str]
    link: str | None = None
    disk: Disk | None = None
    is_device: bool = False


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
        if node and node.link:
            return self._follow(posixpath.normpath(posixpath.join(posixpath.dirname(path), node.link)))
        return path

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
        """Make a sparse file."""
        if path in self.nodes:
            raise FileExistsError(path)
        self.nodes[path] = Node(content=None, mode=0o600, owner=(user, group), disk=Disk(size))
        self.log.append(f"allocate {path}")

    def add_disk(self, path: str, disk: Disk) -> None:
        """Plug a block device in."""
        self.nodes[path] = Node(content=None, mode=0o660, owner=("root", "disk"), disk=disk, is_device=True)

    def disk(self, path: str) -> Disk:
        """Return the block device or sparse file under a name or behind a link.

        Raises:
            FileNotFoundError: There is none.
        """
        node = self.nodes.get(self._follow(path))
        if node is None or node.disk is None:
            raise FileNotFoundError(path)
        return node.disk

    def is_block_device(self, path: str) -> bool:
        """Return whether the path leads to a block device."""
        node = self.nodes.get(self._follow(path))
        return node is not None and node.is_device

    def open_exclusively(self, path: str) -> bool:
        """Return whether there is a block device that nobody holds."""
        return self.is_block_device(path) and not self.disk(path).holder

    def read_bytes(self, path: str, size: int, offset: int = 0) -> bytes:
        """Return bytes of a block device or sparse file."""
        return self.disk(path).read(offset, size)

    def size(self, path: str) -> int:
        """Return the size of a block device or sparse file."""
        return self.disk(path).size

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
