"""Commands to the cluster about one file system, as the metadata server's own Ceph user."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

SECONDS = 20
"""How long a command may take."""


class UnreachableError(Exception):
    """The cluster does not answer: there is no quorum, or no manager."""


class RefusedError(Exception):
    """A command was refused; the message is Ceph's own, `code` the errno."""

    def __init__(self, message: str, code: int) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A metadata server as the monitors know it; `state` is theirs, such as `up:active` or `up:standby`."""

    name: str
    state: str

    @property
    def is_active(self) -> bool:
        """Whether it serves a part of the file system, or is about to."""
        return not self.state.startswith("up:standby")

    @property
    def takes_over(self) -> bool:
        """Whether it can take another one's place."""
        return not self.is_active


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """A part of the file system: sizes are in bytes, `limit` 0 is none, `clients` maps users to what they may do."""

    name: str
    path: str
    used: int
    limit: int
    clients: dict[str, str]


class Admin:
    """The program ceph, with one configuration, and the commands of its module for volumes (Ceph: src/pybind/mgr/volumes)."""

    def __init__(self, machine: Machine, config: str, name: str, filesystem: str) -> None:
        self._machine = machine
        self._config = config
        self._words = (
            "/usr/bin/ceph",
            "-c",
            config,
            "--name",
            name,
            "--connect-timeout",
            "10",
            "--format",
            "json",
        )
        self._filesystem = filesystem

    @property
    def configured(self) -> bool:
        """Whether this machine has what is needed to ask."""
        return self._machine.exists(self._config)

    def servers(self) -> list[Server]:
        """Return the file system's metadata servers, and those that could become one.

        Raises:
            UnreachableError: The cluster does not answer.
        """
        dump = self._run("fs", "dump")
        own = [fs for fs in dump["filesystems"] if fs["mdsmap"]["fs_name"] == self._filesystem]
        infos = [info for fs in own for info in fs["mdsmap"]["info"].values()] + dump["standbys"]
        return [Server(name=info["name"], state=info["state"]) for info in infos]

    def volumes(self) -> list[str]:
        """Return the names of all volumes.

        Raises:
            UnreachableError: The cluster does not answer.
        """
        return sorted(entry["name"] for entry in self._run("fs", "subvolume", "ls", self._filesystem))

    def volume(self, name: str) -> Volume | None:
        """Return what is known of a volume; None where there is none.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: Ceph refuses.
        """
        try:
            info = self._run("fs", "subvolume", "info", self._filesystem, name)
        except RefusedError as error:
            if error.code == errno.ENOENT:
                return None
            raise
        clients = self._run("fs", "subvolume", "authorized_list", self._filesystem, name)
        limit = info["bytes_quota"]
        return Volume(
            name=name,
            path=info["path"],
            used=info["bytes_used"],
            limit=0 if limit == "infinite" else limit,
            clients={user: access for entry in clients for user, access in entry.items()},
        )

    def create_volume(self, name: str, size: int) -> None:
        """Make a volume whose content no key to another volume can read; `size` 0 sets no limit.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: Ceph does not make it.
        """
        limit = ("--size", str(size)) if size else ()
        self._run("fs", "subvolume", "create", self._filesystem, name, *limit, "--namespace-isolated")

    def resize_volume(self, name: str, size: int) -> None:
        """Set what a volume may hold; 0 is any amount.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: There is no such volume.
        """
        self._run("fs", "subvolume", "resize", self._filesystem, name, str(size or "infinite"))

    def delete_volume(self, volume: Volume) -> None:
        """Delete a volume, and the keys to it.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: Ceph does not delete it.
        """
        for user in volume.clients:
            self.deauthorize(volume.name, user)
        self._run("fs", "subvolume", "rm", self._filesystem, volume.name)

    def authorize(self, name: str, user: str, access: str) -> str:
        """Make a user for a volume, or let one that is there use it too; return its key.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: There is a user of that name that was not made here.
        """
        # Ceph shows the key only where a tenant is named; and users of one tenant are closed to the others.
        tenant = ("--access_level", access, "--tenant_id", self._filesystem)
        done = self._ask("fs", "subvolume", "authorize", self._filesystem, name, user, *tenant)
        return done.strip()

    def deauthorize(self, name: str, user: str) -> None:
        """Take a user's right to a volume, and cut it off where it uses it.

        Raises:
            UnreachableError: The cluster does not answer.
            RefusedError: There is no such user.
        """
        self._run("fs", "subvolume", "evict", self._filesystem, name, user)
        self._run("fs", "subvolume", "deauthorize", self._filesystem, name, user)

    def _run(self, *words: str) -> Any:
        text = self._ask(*words)
        return json.loads(text) if text.strip() else None

    def _ask(self, *words: str) -> str:
        try:
            done = self._machine.run(*self._words, *words, timeout=SECONDS, check=False)
        except TimeoutError as error:
            raise UnreachableError(f"the Ceph cluster does not answer within {SECONDS} s") from error
        lines = done.stderr.strip().splitlines() or ["no error output"]
        if "error connecting to the cluster" in lines[-1] or "timed out" in lines[-1]:
            raise UnreachableError(f"the Ceph cluster does not answer: {lines[-1]}")
        if done.code:
            raise RefusedError(lines[-1], done.code)
        return done.stdout
