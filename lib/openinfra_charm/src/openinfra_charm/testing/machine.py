"""A machine in memory, for tests and rehearsals: it has files, packages, disks and services, and runs no program.

Programs that a workload calls are answered by handlers, Python functions that a test or a software twin brings.
It can be killed in the middle of a hook, and it can lose its power: then what was not synced is lost, and what is
enabled starts again with it.
"""

from __future__ import annotations

import dataclasses
import errno
import itertools
import math
import os
import posixpath
import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.daemon.next_hook import JUJU_EXEC
from openinfra_charm.machine import (
    Answer,
    CommandError,
    InterfaceAddress,
    LinkError,
    Machine,
    Result,
    is_unfinished,
)
from openinfra_charm.testing.disk import Disk
from openinfra_charm.testing.twin import Request, Software

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

VOLATILE = ("/run/", "/proc/", "/sys/", "/dev/")
"""What a start of the machine makes anew; the twins bring what is in it."""


class Killed(BaseException):
    """The hook's process, or the machine under it, has ended in the middle of its work."""


def _kill() -> None:
    raise Killed


@dataclass
class Fuse:
    """How many changes may still be made until something happens, just before the next one: the hook is killed.

    Where `event` returns, the hook goes on.
    """

    changes: int
    event: Callable[[], None] = _kill


class OutOfPatienceError(Exception):
    """A hook has waited for longer than a hook may."""


class StillWaiting(BaseException):
    """A job has waited for longer than anything takes here, unless others do something first; its process goes on waiting."""


@dataclass
class Node:
    """What is under a name: text, or bytes on a disk (`disk`), or a link, or else a folder.

    `saved` is the content that outlasts a power loss, None as long as none was synced.
    """

    content: str | None
    mode: int
    owner: tuple[str, str]
    link: str | None = None
    disk: Disk | None = None
    is_device: bool = False
    saved: str | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is a file of text."""
        return self.content is not None


class Clock:
    """The time, in seconds since the epoch; machines may share one."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now


class MemoryMachine(Machine):
    """A machine that exists only in this object.

    `log` holds every change in words, so that a test can say "and then nothing changed". `handlers` maps a program's
    name or path to a function `(argv, stdin)` that returns its Result or its output. `broken` maps a program to what it
    says when it fails. `patience` is how many seconds may still be waited, `fuse` what happens after so many changes. A
    service needs `start_seconds` until it serves. While somebody waits, software notices every `step` seconds that time has passed. `scrapped` says that it will never start again. With `renames_disks`
    each start gives the disks each other's names. `drift` is by how many seconds its clock is wrong. `network` maps
    `https://address:port` to the twin that answers there.

    `timers` are the hooks that were asked for: of the systemd unit that does, when it does, and of which unit.

    `restarting_often` are the services that end and are started again and again, and how often.

    `held` are the addresses of its interfaces (`hold`), `taken` the ports that a program listens on of which nothing here
    knows.

    To be looked at: `needless` are the services that were restarted though neither their program nor a keyring nor a file
    below /etc was other than at their last start, `programs` which program each service runs, `exchanged` those services that run
    another one because somebody has restarted them while they ran, `installing_from` the release that packages were
    installed from last, `torn` the files that a power loss has left empty, `argv` all command lines, `env`
    the variables that the program was given that runs now.
    """

    def __init__(self, hostname: str = "machine-0", time: Clock | None = None) -> None:
        self.name = hostname
        self.time = time or Clock()
        self.drift = 0.0
        self.nodes: dict[str, Node] = {}
        self.packages: dict[str, str] = {}
        self.kept: set[str] = set()
        self.dependencies: set[str] = set()
        self.services: dict[str, str] = {}
        self.enabled: set[str] = set()
        self.restarting_often: dict[str, int] = {}
        self.masked: set[str] = set()
        self.handlers: dict[str, Callable[[tuple[str, ...], str | None], Result | str | None]] = {}
        self.libraries: dict[str, Any] = {}
        self.sockets: dict[str, Callable[[Request], Answer]] = {}
        self.streams: dict[str, Callable[[bytes], bytes]] = {}
        self.network: dict[str, Callable[[Request], Answer]] = {}
        self.users: set[str] = {"root"}
        self.software: list[Software] = []
        self.broken: dict[str, str] = {}
        self.held: list[InterfaceAddress] = []
        self.free = 1 << 40
        """How many bytes each file system has left."""
        self.taken: set[int] = set()
        self.kind = "lxc"
        self.powered = True
        self.scrapped = False
        self.boots = 1
        self.log: list[str] = []
        self.timers: dict[str, tuple[float, str]] = {}
        self.starts: dict[str, int] = {}
        self.start_seconds = 0.0
        self.step = 0.0
        self._noticed_at = 0.0
        self.renames_disks = False
        self._restarted: set[str] = set()
        self.needless: list[str] = []
        self.torn: list[str] = []
        self.argv: list[str] = []
        self.env: dict[str, str] = {}
        self.patience = math.inf
        self._patience_ends: type[BaseException] = OutOfPatienceError
        self.fuse: Fuse | None = None
        self._serials: dict[str, Disk] = {}
        self._durable: dict[str, Node] = {}
        self._moved: dict[str, str] = {}
        self._children: dict[str, set[str]] = {}
        self._ready_at: dict[str, float] = {}
        self._started_with: dict[str, int] = {}
        self.programs: dict[str, str] = {}
        self.exchanged: set[str] = set()
        self.installing_from = ""
        self.handlers |= {
            "systemctl": self._systemctl,
            "systemd-run": self._systemd_run,
            "env": self._env,
            "timeout": self._limited,
        }

    @property
    def clock(self) -> float:
        """What the machine's clock shows."""
        return self.time.now + self.drift

    @clock.setter
    def clock(self, now: float) -> None:
        self.time.now = now - self.drift

    def bring(self, software: Software) -> None:
        """Give the machine a program's twin."""
        self.software.append(software)
        self.handlers |= software.programs
        self.libraries |= software.libraries
        self.sockets |= software.sockets
        self.streams |= software.streams
        software.started()

    # Its life

    def plant_links(self, target: str) -> int:
        """Have services put links where root may write next: in each folder that they can write, beside each thing there.

        The links have the names from which files and links take their places. Return how many were new.
        """
        names = [
            f"{folder}/.{name}.new"
            for folder in list(self._children)
            if not self.is_roots(folder)
            for name in sorted(self._children[folder])
            if not is_unfinished(name)
        ]
        new = [name for name in names if name not in self.nodes]
        for name in new:
            self._name(name, Node(content=None, mode=0o777, owner=("nobody", "nogroup"), link=target))
            self._durable[name] = self.nodes[name]
        return len(new)

    def plug_in(self, name: str, size: int = 20 << 30, serial: str = "", **kind: bool) -> Disk:
        """Give the machine an empty disk, `/dev/<name>`, which udev also names by its serial number if it has one."""
        disk = Disk(size, **kind)
        self.add_disk(f"/dev/{name}", disk)
        self.have(f"/sys/class/block/{name}/queue/rotational", f"{int(disk.rotates)}\n")
        if serial:
            self._serials[f"/dev/disk/by-id/{serial}"] = disk
            self._name_by_serial()
        return disk

    def rename_disks(self, *names: str) -> None:
        """Give disks the names of each other, as a start of the machine may: each has the name of the one before it.

        Args:
            names: Such as `sdb`, `sdc`; none: all that were plugged in, in their order.
        """
        paths = [f"/dev/{name}" for name in names] or [
            path for path, node in self.nodes.items() if node.is_device and path.startswith("/dev/")
        ]
        disks = [self.nodes[path].disk for path in paths]
        for path, disk in zip(paths, [*disks[1:], *disks[:1]], strict=True):
            self.add_disk(path, disk or Disk(0))
            rotates = f"/sys/class/block/{path.removeprefix('/dev/')}/queue/rotational"
            self.have(rotates, f"{int(bool(disk and disk.rotates))}\n")
        self._name_by_serial()

    def _name_by_serial(self) -> None:
        places = {id(node.disk): path for path, node in self.nodes.items() if node.is_device}
        for name, disk in self._serials.items():
            if id(disk) in places:
                link = places[id(disk)]
                self._name(name, Node(content=None, mode=0o777, owner=("root", "root"), link=link))

    def power_off(self) -> None:
        """Cut the power: what was not synced is lost."""
        self.powered = False
        self.services = {}
        self.timers = {}
        self._restarted = set()
        kept = {
            path: node
            for path, node in self.nodes.items()
            if node.is_device or path.startswith("/sys/class/block/")
        }
        self._children = {}
        self.nodes = {}
        for path, node in {**self._durable, **kept}.items():
            if not path.startswith(VOLATILE) or path in kept:
                content = None if node.content is None else (node.saved or "")
                self.torn += [path] if node.content and not content and not is_unfinished(path) else []
                self._name(path, dataclasses.replace(node, content=content))
        self._durable = dict(self.nodes)
        self._moved = {}
        self._services_changed()

    def scrap(self) -> None:
        """Lose the machine for good, with all that is on it."""
        self.scrapped = True
        self.power_off()

    def power_on(self) -> None:
        """Start the machine: what is enabled runs."""
        self.powered = True
        self.boots += 1
        if self.renames_disks:
            self.rename_disks()
        self._name_by_serial()
        for software in self.software:
            software.started()
        self.start_services(*sorted(self.enabled))

    @contextmanager
    def waiting(self, seconds: float, end: type[BaseException] = OutOfPatienceError) -> Generator[None]:
        """Let nobody wait for longer than this; `end` is what is raised then."""
        before, self.patience, self._patience_ends = (self.patience, self._patience_ends), seconds, end
        try:
            yield
        finally:
            self.patience, self._patience_ends = before

    @contextmanager
    def fused(self, fuse: Fuse | None) -> Generator[None]:
        """Have something happen to whoever makes changes meanwhile."""
        before, self.fuse = self.fuse, fuse
        try:
            yield
        finally:
            self.fuse = before

    def _change(self, words: str = "") -> None:
        """Let a change burn the fuse down before it is made. A hook that is killed makes none after that.

        Raises:
            Killed: That is what happens when the fuse has burned down.
        """
        if self.fuse and self.fuse.changes > 0:
            self.fuse.changes -= 1
        elif self.fuse:
            fuse, self.fuse = self.fuse, None
            try:
                fuse.event()
            except Killed:
                self.fuse = fuse
                raise
        if words:
            self.log.append(words)

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
        del timeout
        self._change()
        self.env = dict(env or {})
        self.argv.append(" ".join(argv))
        handler = self.handlers.get(argv[0])
        if argv[0] in self.broken:
            answer: Result | str | None = Result(code=1, stdout="", stderr=self.broken[argv[0]])
        elif handler:
            answer = handler(argv, stdin)
        elif script := self._script(argv[0]):
            answer = self.run(*script, *argv[1:], check=False)
        else:
            answer = Result(code=127, stdout="", stderr="command not found")
        result = answer if isinstance(answer, Result) else Result(code=0, stdout=answer or "", stderr="")
        if check and result.code:
            raise CommandError(argv, result.code, result.stderr)
        return result

    def _script(self, path: str) -> list[str]:
        """Return the command line of a shell script that does nothing but run one, as the charms' checks do."""
        head, _, command = (self.read(path) or "").partition("\nexec ")
        return shlex.split(command) if head == "#!/bin/sh" else []

    def _env(self, argv: tuple[str, ...], _stdin: str | None) -> Result:
        return self.run(*itertools.dropwhile(lambda word: "=" in word, argv[1:]), check=False)

    def _limited(self, argv: tuple[str, ...], stdin: str | None) -> Result:
        """Run a program that ends in time, as timeout(1) does: after its options and the seconds."""
        _, *words = itertools.dropwhile(lambda word: word.startswith("-"), argv[1:])
        return self.run(*words, stdin=stdin, check=False)

    def _systemctl(self, argv: tuple[str, ...], _stdin: str | None) -> None:
        """Start or stop a unit without a word on whether it starts with the machine."""
        verb, unit = argv[1:]
        self.log.append(f"{verb} {unit}")
        if verb == "start":
            self._start(unit)
        elif unit.endswith(".timer"):
            self.timers.pop(unit.removesuffix(".timer"), None)
        else:
            self.services[unit] = "inactive"
            self._services_changed()

    def _systemd_run(self, argv: tuple[str, ...], _stdin: str | None) -> None:
        words = dict(word.split("=", 1) for word in argv if word.startswith("--") and "=" in word)
        name = words["--unit"]
        self.log.append(f"run {name}")
        if JUJU_EXEC in argv:
            self.timers[name] = (self.time.now + float(words.get("--on-active", 0)), argv[-2])
        else:
            self.services[name] = "active"

    def take_hooks(self) -> list[str]:
        """Return the units that somebody on the machine has asked Juju to run a hook of by now."""
        due = {name: unit for name, (time, unit) in self.timers.items() if time <= self.time.now}
        self.timers = {name: timer for name, timer in self.timers.items() if name not in due}
        return list(due.values())

    def jobs(self) -> list[tuple[str, str]]:
        """Return the jobs (`openinfra_charm.daemon.job`) that systemd has started and that wait for being run."""
        units = [unit for unit, state in self.services.items() if "-job-" in unit and state == "active"]
        names = (unit.removesuffix(".service").partition("-job-") for unit in units)
        return [(application, job_id) for application, _, job_id in names]

    def job_ended(self, application: str, job_id: str) -> None:
        """Let systemd forget a job's unit."""
        self.services.pop(f"{application}-job-{job_id}.service", None)

    def ask(
        self,
        socket_path: str,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        timeout: float = 10,
    ) -> Answer:
        """Let the twin answer that listens on the socket."""
        del timeout
        if socket_path not in self.sockets:
            raise FileNotFoundError(socket_path)
        self._change()
        request = Request(method=method, path=path, headers=dict(headers or {}), body=body or "")
        return self.sockets[socket_path](request)

    def exchange(self, socket_path: str, data: bytes, *, timeout: float = 10) -> bytes:
        """Let the twin answer that listens on the socket."""
        del timeout
        if socket_path not in self.streams:
            raise FileNotFoundError(socket_path)
        return self.streams[socket_path](data)

    def fetch(self, url: str, *, ca_path: str = "", timeout: float = 10) -> Answer:
        """Let the twin answer that listens at the address; over TLS it has to be checked with a CA."""
        del timeout
        self._change()
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        where = f"{scheme}://{host}"
        if where not in self.network or (scheme == "https" and not self.read(ca_path)):
            raise ConnectionRefusedError(url)
        return self.network[where](Request(method="GET", path=f"/{path}", headers={}, body=""))

    def make_user(self, name: str, home: str) -> bool:
        """Make a system user."""
        del home
        if name in self.users:
            return False
        self._change(f"make user {name}")
        self.users.add(name)
        return True

    def remove_user(self, name: str) -> None:
        """Remove a user."""
        if name in self.users:
            self._change(f"remove user {name}")
            self.users.discard(name)

    def load_library(self, name: str) -> Any:
        """Return the twin's library."""
        if name not in self.libraries:
            raise ImportError(f"No module named {name!r}")
        return self.libraries[name]

    # Files

    def _follow(self, path: str, *, guarded: bool = False) -> str:
        """Return where a path leads when all links on the way are followed.

        Raises:
            LinkError: One of them is in a folder that a service can write, and it is to be `guarded` against that.
        """
        parts = path.split("/")
        for number in range(2, len(parts) + 1):
            place = "/".join(parts[:number])
            node = self.nodes.get(place)
            if node and node.link:
                folder = posixpath.dirname(place)
                if guarded and not self.is_roots(folder):
                    raise LinkError(path)
                target = posixpath.normpath(posixpath.join(folder, node.link))
                return self._follow("/".join([target, *parts[number:]]), guarded=guarded)
        return path

    def _held(self, path: str) -> str:
        """Return a path whose folder is there without links; its own last part may be one."""
        folder, _, name = path.rpartition("/")
        return f"{self._follow(folder, guarded=True)}/{name}"

    def is_roots(self, folder: str) -> bool:
        """Return whether nobody but root can change what is in a folder."""
        while folder not in {"", "/"}:
            if (node := self.nodes.get(folder)) and not node.link:
                of_others = node.mode & 0o002 or (node.mode & 0o020 and node.owner[1] != "root")
                if node.owner[0] != "root" or of_others:
                    return False
            folder = posixpath.dirname(folder)
        return True

    def _name(self, path: str, node: Node) -> None:
        """Give a node a name, and the folders above it theirs."""
        self.nodes[path] = node
        while path not in ("", "/"):
            folder, _, name = path.rpartition("/")
            names = self._children.setdefault(folder, set())
            if name in names:
                return
            names.add(name)
            path = folder

    def _forget(self, path: str) -> None:
        self.nodes.pop(path, None)
        while path and path not in self.nodes and not self._children.get(path):
            self._children.pop(path, None)
            folder, _, name = path.rpartition("/")
            self._children.get(folder, set()).discard(name)
            path = folder

    def have(self, path: str, content: str, mode: int = 0o644) -> None:
        """Have a file there as if it had always been."""
        self._name(path, Node(content=content, mode=mode, owner=("root", "root"), saved=content))
        self._durable[path] = self.nodes[path]

    def lose(self, path: str) -> None:
        """Have a file or a folder there no more, as if it had never been."""
        for name in (path, *self._below(path)):
            self._forget(name)
            self._durable.pop(name, None)

    def read(self, path: str) -> str | None:
        """Return a text file's content."""
        try:
            node = self.nodes.get(self._follow(path, guarded=True))
        except LinkError:
            return None
        if node and path.startswith("/proc/sys/") and not node.mode & 0o400:
            # The kernel refuses root too.
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return node.content if node else None

    def write(
        self, path: str, content: str, *, mode: int = 0o644, user: str = "root", group: str = "root"
    ) -> bool:
        """Make a file hold `content`, with the steps of a real machine."""
        changed = super().write(path, content, mode=mode, user=user, group=group)
        if changed:
            self.log.append(f"write {path}")
        return changed

    def renew(self, path: str) -> None:
        """Write a file once more, with the steps of a real machine."""
        super().renew(path)
        self.log.append(f"renew {path}")

    def remove(self, path: str) -> bool:
        """Remove a file or folder."""
        gone = super().remove(path)
        if gone:
            self.log.append(f"remove {path}")
        return gone

    def make_folder(self, path: str, *, mode: int = 0o755, user: str = "root", group: str = "root") -> bool:
        """Make a folder; its name is durable at once, as journals have it with the first file in it."""
        if self._is_planted(path):
            self._unlink(path)
        path = self._follow(path, guarded=True)
        node = self.nodes.get(path)
        if node and (node.mode, node.owner) == (mode, (user, group)):
            return False
        self._change(f"make folder {path}")
        self._name(path, Node(content=None, mode=mode, owner=(user, group)))
        self._durable[path] = self.nodes[path]
        return True

    def link(self, path: str, target: str) -> bool:
        """Make a symbolic link."""
        changed = super().link(path, target)
        if changed:
            self.log.append(f"link {path} to {target}")
        return changed

    def move_folder(self, path: str, new: str) -> None:
        """Give a folder its final name, with the steps of a real machine."""
        super().move_folder(path, new)
        self.log.append(f"move {path} to {new}")

    def allocate(self, path: str, size: int, *, user: str = "root", group: str = "root") -> None:
        """Make a sparse file."""
        super().allocate(path, size, user=user, group=group)
        self.log.append(f"allocate {path}")

    def _is_planted(self, path: str) -> bool:
        node = self.nodes.get(self._held(path))
        return node is not None and node.link is not None and not self.is_roots(posixpath.dirname(path))

    def _attributes(self, path: str) -> tuple[int, str, str, int] | None:
        try:
            node = self.nodes.get(self._follow(path, guarded=True))
        except LinkError:
            return None
        return (node.mode, *node.owner, len((node.content or "").encode())) if node else None

    def _content(self, path: str) -> bytes:
        return (self.nodes[self._follow(path, guarded=True)].content or "").encode()

    def _make_parents(self, folder: str) -> None:
        """Folders are there with what is in them."""

    def _make_file(
        self, path: str, data: bytes, *, mode: int, user: str, group: str, size: int | None = None
    ) -> None:
        self._change()
        path = self._held(path)
        if path in self.nodes:
            raise FileExistsError(path)
        disk = None if size is None else Disk(size)
        content = data.decode() if size is None else None
        self._name(path, Node(content=content, mode=mode, owner=(user, group), disk=disk))

    def _make_link(self, path: str, target: str) -> None:
        self._change()
        path = self._held(path)
        self._name(path, Node(content=None, mode=0o777, owner=("root", "root"), link=target))

    def _link_target(self, path: str) -> str | None:
        try:
            node = self.nodes.get(self._held(path))
        except LinkError:
            return None
        return node.link if node else None

    def _rename(self, old: str, new: str) -> None:
        self._change()
        old, new = self._held(old), self._held(new)
        # A folder takes along what is in it, also on the disk as soon as its new name is synced.
        names = [*([old] if old in self.nodes else []), *self._below(old)]
        for path, node in [(path, self.nodes[path]) for path in names]:
            self._forget(path)
            self._name(new + path.removeprefix(old), node)
        if any(path != old for path in names):
            self._moved[new] = old

    def _unlink(self, path: str) -> None:
        path = self._held(path)
        if path in self.nodes:
            self._change()
            self._forget(path)

    def _remove_tree(self, path: str) -> bool:
        try:
            path = self._held(path)
        except LinkError:
            return False
        gone = [path] if path in self.nodes else []
        gone += self._below(path)
        if gone:
            self._change()
        for name in gone:
            self._forget(name)
        return bool(gone)

    def _below(self, folder: str) -> list[str]:
        found: list[str] = []
        for name in self._children.get(folder, ()):
            path = f"{folder}/{name}"
            found += [path] if path in self.nodes else []
            found += self._below(path)
        return found

    def _sync_tree(self, path: str) -> None:
        # As syncfs(2): all of the file system, and there is one.
        del path
        self._change()
        for node in self.nodes.values():
            node.saved = node.content
        self._durable = dict(self.nodes)
        self._moved = {}

    def _sync(self, path: str) -> None:
        self._change()
        path = self._follow(path, guarded=True)
        for new, old in [moved for moved in self._moved.items() if posixpath.dirname(moved[0]) == path]:
            del self._moved[new]
            for name in [name for name in self._durable if name == old or name.startswith(f"{old}/")]:
                self._durable[new + name.removeprefix(old)] = self._durable.pop(name)
        node = self.nodes.get(path)
        if node and (node.is_file or node.disk):
            node.saved = node.content
            return
        names = {f"{path}/{name}" for name in self._children.get(path, ())}
        below = f"{path}/"
        for gone in [name for name in self._durable if name.startswith(below) and name not in self.nodes]:
            del self._durable[gone]
        self._durable |= {name: self.nodes[name] for name in names if name in self.nodes}

    def add_disk(self, path: str, disk: Disk) -> None:
        """Plug a block device in."""
        self._name(path, Node(content=None, mode=0o660, owner=("root", "disk"), disk=disk, is_device=True))

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
        disk = self.disk(path) if self.is_block_device(path) else None
        return disk is not None and not disk.holder and disk.errno != errno.ENOMEDIUM

    def read_bytes(self, path: str, size: int, offset: int = 0) -> bytes:
        """Return bytes of a block device or sparse file."""
        return self.disk(path).read(offset, size)

    def size(self, path: str) -> int:
        """Return the size of a block device or sparse file.

        Raises:
            OSError: There is no medium.
        """
        disk = self.disk(path)
        if disk.errno == errno.ENOMEDIUM:
            raise OSError(disk.errno, os.strerror(disk.errno))
        return disk.size

    def exists(self, path: str) -> bool:
        """Return whether there is anything under this name."""
        try:
            path = self._held(path)
        except LinkError:
            return False
        return path in self.nodes or bool(self._children.get(path))

    def list_folder(self, path: str) -> list[str]:
        """Return the names in a folder."""
        try:
            return sorted(self._children.get(self._follow(path, guarded=True), ()))
        except LinkError:
            return []

    def resolve(self, path: str) -> str:
        """Return the path with its links followed."""
        return self._follow(path)

    def free_space(self, path: str) -> int:
        """Return what is free, which is the same everywhere."""
        del path
        return self.free

    def change_owner(self, path: str, *, user: str, group: str) -> None:
        """Give a file another owner."""
        self._change()
        self.nodes[self._follow(path, guarded=True)].owner = (user, group)

    # Packages

    def package_versions(self, names: Iterable[str]) -> dict[str, str]:
        """Return the versions of those packages that are installed."""
        return {name: self.packages[name] for name in names if name in self.packages}

    def installed_from(self, source: str) -> list[str]:
        """Return the installed packages whose names begin like that of the source package."""
        return sorted(name for name in self.packages if name.startswith(source))

    def install_packages(self, names: Iterable[str], *, release: str = "", keep_all: bool = False) -> None:
        """Install packages, in version 1.0 where their twin does not know better; none pushes another one out."""
        del keep_all
        self.installing_from = release
        for name in names:
            self._change(f"install {name}")
            versions = (software.version_of(name) for software in self.software)
            self.packages[name] = next((version for version in versions if version), "1.0")
            self.kept.add(name)

    def _is_installing(self) -> bool:
        """Nothing goes on here beside the hook."""
        return False

    def kept_packages(self) -> set[str]:
        """Return the packages that were asked for."""
        return set(self.kept)

    def keep_packages(self, names: Iterable[str]) -> None:
        """Keep packages."""
        for name in names:
            self._change(f"keep {name}")
            self.kept.add(name)

    def remove_packages(self, names: Iterable[str]) -> None:
        """Remove packages, but for those that others here depend on."""
        for name in names:
            self._change(f"uninstall {name}")
            self.kept.discard(name)
            if name not in self.dependencies:
                del self.packages[name]

    # Services

    def reload_systemd(self) -> None:
        """Nothing to read again."""
        self._change("reload systemd")

    def service_states(self, *units: str) -> dict[str, str]:
        """Return each unit's state."""
        return {unit: self.services.get(unit, "inactive") for unit in units}

    def restarting_services(self, *units: str) -> dict[str, int]:
        """Return those units that end and are started again and again, and how often."""
        return {unit: number for unit, number in self.restarting_often.items() if unit in units}

    def enabled_services(self, *units: str) -> set[str]:
        """Return those units that start with the machine."""
        return self.enabled & set(units)

    def enable_services(self, *units: str) -> None:
        """Let units start with the machine."""
        self._change(f"enable {' '.join(units)}")
        self.enabled |= set(units)

    def start_services(self, *units: str) -> None:
        """Start units; one without what it needs fails."""
        self._change(f"start {' '.join(units)}")
        self._start(*(unit for unit in units if self.services.get(unit) != "active"))

    def restart_services(self, *units: str) -> None:
        """Restart units; one without what it needs fails."""
        self._change(f"restart {' '.join(units)}")
        same = [unit for unit in units if self._started_with.get(unit) == self._configuration()]
        self.needless += [unit for unit in same if self.programs.get(unit) == self._program(unit)]
        changed = self.outdated_programs(*units)
        # What the machine itself brought, such as journald, interrupts nobody.
        self._restarted |= {unit for unit in units if self.serves(unit) and unit in self.enabled}
        self.services.update(dict.fromkeys(units, "inactive"))
        self._services_changed()
        self._start(*units, exchanged=changed)

    def serves(self, unit: str) -> bool:
        """Return whether a service runs and has done so for long enough to serve."""
        return self.services.get(unit) == "active" and self._ready_at.get(unit, 0) <= self.time.now

    @property
    def restarting(self) -> set[str]:
        """The services that a restart has interrupted and that do not serve yet."""
        self._restarted = {unit for unit in self._restarted if not self.serves(unit)}
        return self._restarted

    def _start(self, *units: str, exchanged: Iterable[str] = ()) -> None:
        self.exchanged = (self.exchanged - set(units)) | set(exchanged)
        for unit in units:
            able = all(software.can_run(unit) for software in self.software)
            self.services[unit] = "active" if able else "failed"
            self.starts[unit] = self.starts.get(unit, 0) + able
            self._ready_at[unit] = self.time.now + self.start_seconds
            self._started_with[unit] = self._configuration()
            self.programs[unit] = self._program(unit)
        self._services_changed()

    def _program(self, unit: str) -> str:
        return "".join(software.program_of(unit) for software in self.software)

    def outdated_programs(self, *units: str) -> set[str]:
        """Return those units that run an older program than they would start with now."""
        running = (unit for unit in units if self.services.get(unit) == "active")
        return {unit for unit in running if self.programs.get(unit) != self._program(unit)}

    def _configuration(self) -> int:
        # Ceph's daemons have their keys beside their data.
        files = (
            (path, node.content)
            for path, node in self.nodes.items()
            if path.startswith("/etc/") or path.endswith("/keyring")
        )
        return hash(frozenset(files))

    def end_leftovers(self, *units: str) -> None:
        """End what stopped units have left behind."""
        self.log.append(f"end what is left of {' '.join(units)}")

    def reload_services(self, *units: str) -> None:
        """Reload units."""
        self._change(f"reload {' '.join(units)}")
        for unit in units:
            for software in self.software:
                software.reloaded(unit)

    def stop_services(self, *units: str) -> None:
        """Stop and disable units."""
        self._change(f"stop {' '.join(units)}")
        self.services.update(dict.fromkeys(units, "inactive"))
        self.enabled -= set(units)
        self._services_changed()

    def mask_services(self, *units: str) -> None:
        """Mask units."""
        self._change(f"mask {' '.join(units)}")
        self.masked |= set(units)

    def unmask_services(self, *units: str) -> None:
        """Take masks away."""
        self._change(f"unmask {' '.join(units)}")
        self.masked -= set(units)

    def _services_changed(self) -> None:
        for software in self.software:
            software.services_changed()

    # Facts

    def hostname(self) -> str:
        """Return the machine's name."""
        return self.name

    def addresses(self) -> tuple[InterfaceAddress, ...]:
        """Return the addresses that it holds."""
        self.argv.append("ip -json address show")
        return tuple(self.held)

    def hold(self, *addresses: str, added: Iterable[str] = ()) -> None:
        """Have these addresses, each with its prefix, and beside them those that somebody has added."""
        marked = [(one, False) for one in addresses] + [(one, True) for one in added]
        self.held = [_interface_address(text, is_added=is_added) for text, is_added in marked]

    def can_listen(self, address: str, port: int) -> bool:
        """Return whether nobody else listens on the port."""
        del address
        return port not in self.taken

    def boot_id(self) -> str:
        """Return the id of this start."""
        return f"boot-{self.boots}"

    def virtualization(self) -> str:
        """Return what kind of machine it plays."""
        return self.kind

    def now(self) -> float:
        """Return the time of the machine's own clock."""
        return self.clock

    def sleep(self, seconds: float) -> None:
        """Let the machine's clock go on.

        Raises:
            OutOfPatienceError: Nobody may wait for so long.
            StillWaiting: So it is, and who waits is a job.
        """
        self.clock += seconds
        self.patience -= seconds
        if self.patience < 0:
            raise self._patience_ends
        if seconds and self.time.now < self._noticed_at + self.step:
            return
        self._noticed_at = self.time.now
        for software in self.software:
            software.time_passed()


def _interface_address(text: str, *, is_added: bool) -> InterfaceAddress:
    address, _, prefix = text.partition("/")
    return InterfaceAddress(address=address, prefix=int(prefix), is_added=is_added)
