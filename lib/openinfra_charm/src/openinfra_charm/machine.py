"""The machine a unit runs on: the one seam between a workload and the world.

Workload modules read and change the machine only through a `Machine`. Tests and rehearsals put another
object in its place with `use`; nothing else has to be swapped.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import importlib
import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
import time
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from types import ModuleType

NO_START = "/usr/sbin/policy-rc.d"
"""Debian's switch (invoke-rc.d's policy layer) for "do not start services when packages install"."""
_POLICY = "#!/bin/sh\n# Written by openinfra while it installs packages.\nexit 101\n"
_APT_LOCK = "/var/lib/dpkg/lock-frontend"
APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "PYTHONPATH": ""}
"""What keeps apt-get and dpkg from asking, and from restarting services; and a new Python from the old one's modules, which
a hook's and a job's own path may name."""

_REEXEC_SECONDS = 3
"""How long systemd takes to start anew (systemctl daemon-reexec), and more."""

_ADDED = ("secondary", "deprecated", "temporary")
"""What ip-address(8) says, in JSON, of an address that is not its interface's own; keepalived's for IPv6 are deprecated."""

_IP_FREEBIND = 15
_IPV6_FREEBIND = 78
"""Options of sockets that Python does not name (linux/in.h, linux/in6.h)."""


class LinkError(OSError):
    """A name is a link in a folder that a service can write, and root does not follow it there."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.ELOOP, "a link in a folder that a service can write is not followed", path)


class CommandError(Exception):
    """A program ended with an exit code that its caller did not expect."""

    def __init__(self, argv: Sequence[str], code: int, stderr: str) -> None:
        self.argv = tuple(argv)
        self.code = code
        self.stderr = stderr
        super().__init__(f"{argv[0]} ended with exit code {code}: {stderr.strip() or 'no error output'}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a finished program left: its exit code and its two outputs, decoded as UTF-8."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a server has answered: its HTTP status, its headers with their names in lower case, and its body."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, kw_only=True, slots=True)
class InterfaceAddress:
    """An address of one of the machine's interfaces, with the length of its prefix.

    `is_added` says that the kernel marks it as one beside the interface's own, or not to be used for new connections;
    `is_leased` that it was given for a time (DHCP, router advertisements).
    """

    address: str
    prefix: int
    is_added: bool = False
    is_leased: bool = False

    @property
    def is_single(self) -> bool:
        """Whether its prefix is that of one address, not of a network."""
        return self.prefix == (128 if ":" in self.address else 32)


def _answer(response: http.client.HTTPResponse) -> Answer:
    text = response.read().decode(errors="replace")
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(status=response.status, headers=headers, body=text)


class Machine:
    """This machine, through its own programs and system calls."""

    # Processes

    def run(
        self,
        *argv: str,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        check: bool = True,
    ) -> Result:
        """Run a program to its end.

        Args:
            argv: The program and its arguments; no shell is involved.
            stdin: Text for its standard input; secrets go this way, never in `argv`.
            env: Variables added to the environment.
            timeout: Seconds after which it is killed.
            check: Whether an exit code other than 0 is an error.

        Raises:
            CommandError: The exit code is not 0 and `check` is set.
            TimeoutError: The program ran longer than `timeout`.
        """
        try:
            done = subprocess.run(
                argv,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                errors="replace",
                env={**os.environ, **(env or {})},
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{argv[0]} did not end within {timeout:g} s") from error
        if check and done.returncode:
            raise CommandError(argv, done.returncode, done.stderr)
        return Result(code=done.returncode, stdout=done.stdout, stderr=done.stderr)

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
        """Send an HTTP request to a daemon on this machine, over its unix socket.

        Args:
            socket_path: The socket.
            method: Such as `GET`.
            path: Such as `/v3/users?name=admin`.
            headers: Headers of the request; credentials go here or into the body, and nowhere else.
            body: What is sent.
            timeout: Seconds that each step may take.

        Raises:
            OSError: Nobody listens there, or no answer came.
        """
        # Imported here: a hook with nothing new asks nobody.
        import http.client  # noqa: PLC0415

        with contextlib.closing(http.client.HTTPConnection("localhost", timeout=timeout)) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(timeout)
            connection.sock.connect(socket_path)
            try:
                connection.request(method, path, body=body, headers=dict(headers or {}))
                return _answer(connection.getresponse())
            except http.client.HTTPException as error:
                raise ConnectionError(f"{socket_path}: {error or type(error).__name__}") from error

    def fetch(self, url: str, *, ca_path: str = "", timeout: float = 10) -> Answer:
        """Send a GET request to a daemon on any machine.

        Args:
            url: Such as `https://10.0.0.11:15000/openinfra/health`.
            ca_path: The file of the CA certificates that its own is checked with; `http` needs none.
            timeout: Seconds that each step may take.

        Raises:
            OSError: Nobody listens there, its certificate is not to be trusted, or no answer came.
        """
        # Imported here: a hook asks no other machine.
        import http.client  # noqa: PLC0415
        import ssl  # noqa: PLC0415
        from urllib.parse import urlsplit  # noqa: PLC0415

        where = urlsplit(url)
        host = where.hostname or ""
        connection = http.client.HTTPConnection(host, where.port, timeout=timeout)
        if where.scheme == "https":
            context = ssl.create_default_context(cafile=ca_path)
            connection = http.client.HTTPSConnection(host, where.port, timeout=timeout, context=context)
        with contextlib.closing(connection):
            try:
                connection.request("GET", where.path)
                return _answer(connection.getresponse())
            except http.client.HTTPException as error:
                raise ConnectionError(f"{url}: {error or type(error).__name__}") from error

    def load_library(self, name: str) -> ModuleType:
        """Import a Python module that a distribution package brings (such as `rados`).

        Raises:
            ImportError: The package that holds it is not installed.
        """
        # The charm's own search path hides the distribution's modules only if something shadows them.
        importlib.invalidate_caches()
        return importlib.import_module(name)

    # Files. Root follows a link only in a folder that nobody but root can write, whichever part of the path it is: a service
    # whose folder it is may put a link there at any moment, and would have root read, write or give away another file.
    # A link there counts as nothing where it is read, and is replaced where something is written.

    def read(self, path: str) -> str | None:
        """Return a text file's content, or None where there is no such file."""
        try:
            descriptor = _open_file(path)
        except (FileNotFoundError, NotADirectoryError, LinkError):
            return None
        with os.fdopen(descriptor, encoding="utf-8") as file:
            return file.read()

    def read_bytes(self, path: str, size: int, offset: int = 0) -> bytes:
        """Return up to `size` bytes of a file or block device from byte `offset` (negative: from its end)."""
        with Path(path).open("rb") as file:
            file.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
            return file.read(size)

    def write(
        self, path: str, content: str, *, mode: int = 0o644, user: str = "root", group: str = "root"
    ) -> bool:
        """Make a file hold `content` with this mode and owner; return whether anything changed.

        The new content is complete and durable under a temporary name before it takes the file's place, so
        that a reader or a power loss sees the old file or the new one. Missing folders are made.
        """
        data = content.encode()
        if self._attributes(path) == (mode, user, group, len(data)) and self._content(path) == data:
            return False
        folder, beside = _folder(path), _beside(path)
        self._make_parents(folder)
        self._unlink(beside)
        self._make_file(beside, data, mode=mode, user=user, group=group)
        self._sync(beside)
        self._rename(beside, path)
        self._sync(folder)
        return True

    def remove(self, path: str) -> bool:
        """Remove a file, a link or a whole folder; return whether there was one."""
        if not self._remove_tree(path):
            return False
        self._sync(_folder(path))
        return True

    def make_folder(self, path: str, *, mode: int = 0o755, user: str = "root", group: str = "root") -> bool:
        """Make a folder with this mode and owner; return whether anything changed.

        Raises:
            NotADirectoryError: There is something else under that name.
        """
        if (self._attributes(path) or ())[:3] == (mode, user, group):
            return False
        if self._is_planted(path):
            self._unlink(path)
        self._make_parents(path)
        owner = (pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid)
        with _opened(path) as place:
            os.fchown(place.descriptor, *owner)
            os.fchmod(place.descriptor, mode)
        return True

    def link(self, path: str, target: str) -> bool:
        """Make `path` a symbolic link to `target`; return whether anything changed."""
        if self._link_target(path) == target:
            return False
        beside = _beside(path)
        self._unlink(beside)
        self._make_link(beside, target)
        self._rename(beside, path)
        self._sync(_folder(path))
        return True

    def move_folder(self, path: str, new: str) -> None:
        """Give a finished folder the name that makes it count.

        All that is in it is durable before it gets the name, and the name before this returns: after a power loss there
        is a whole folder under `new`, or none. Both names are on one file system.

        Raises:
            FileExistsError: There is something under the new name.
        """
        if self.exists(new):
            raise FileExistsError(new)
        self._sync_tree(path)
        self._rename(path, new)
        self._sync(_folder(new))

    def allocate(self, path: str, size: int, *, user: str = "root", group: str = "root") -> None:
        """Make a sparse file of `size` bytes that only its owner can read.

        Raises:
            FileExistsError: There is something under that name.
        """
        self._make_file(path, b"", mode=0o600, user=user, group=group, size=size)
        self._sync(path)
        self._sync(_folder(path))

    # What these are made of. A machine in memory has its own, and so loses at a power loss what was not synced.

    def _attributes(self, path: str) -> tuple[int, str, str, int] | None:
        """Return a file's mode, user, group and size; None where nothing is."""
        try:
            now = _look(_landed(path))
        except (FileNotFoundError, NotADirectoryError, LinkError):
            return None
        return (stat.S_IMODE(now.st_mode), _user_name(now.st_uid), _group_name(now.st_gid), now.st_size)

    def _content(self, path: str) -> bytes:
        with os.fdopen(_open_file(path), "rb") as file:
            return file.read()

    def _is_planted(self, path: str) -> bool:
        """Return whether there is a link that is not followed."""
        try:
            with _opened(_folder(path)) as place:
                return not place.is_roots and stat.S_ISLNK(_look_at(place, path).st_mode)
        except FileNotFoundError:
            return False

    def _make_parents(self, folder: str) -> None:
        missing = [folder]
        while not self.exists(missing[-1]):
            missing.append(_folder(missing[-1]))
        for path in reversed(missing[:-1]):
            with _opened(_folder(path)) as place:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(Path(path).name, dir_fd=place.descriptor)
                # What is in a folder lasts only as long as the folder's own name does.
                os.fsync(place.descriptor)

    def _make_file(
        self, path: str, data: bytes, *, mode: int, user: str, group: str, size: int | None = None
    ) -> None:
        """Make a file that is its owner's alone until it has its owner and mode; `size` makes it longer, sparsely."""
        owner = (pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid)
        with _opened(_folder(path)) as place:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(Path(path).name, flags, 0o600, dir_fd=place.descriptor)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if size is not None:
                file.truncate(size)
            os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)

    def _make_link(self, path: str, target: str) -> None:
        with _opened(_folder(path)) as place:
            os.symlink(target, Path(path).name, dir_fd=place.descriptor)

    def _link_target(self, path: str) -> str | None:
        try:
            with _opened(_folder(path)) as place:
                return os.readlink(Path(path).name, dir_fd=place.descriptor)
        except (FileNotFoundError, NotADirectoryError, LinkError):
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:  # it is no link
                return None
            raise

    def _rename(self, old: str, new: str) -> None:
        with _opened(_folder(old)) as here, _opened(_folder(new)) as there:
            names = (Path(old).name, Path(new).name)
            os.replace(*names, src_dir_fd=here.descriptor, dst_dir_fd=there.descriptor)

    def _unlink(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError), _opened(_folder(path)) as place:
            os.unlink(Path(path).name, dir_fd=place.descriptor)

    def _remove_tree(self, path: str) -> bool:
        try:
            with _opened(_folder(path)) as place:
                if stat.S_ISDIR(_look_at(place, path).st_mode):
                    shutil.rmtree(Path(path).name, dir_fd=place.descriptor)
                else:
                    os.unlink(Path(path).name, dir_fd=place.descriptor)
        except (FileNotFoundError, NotADirectoryError, LinkError):
            return False
        return True

    def _sync(self, path: str) -> None:
        """Have what a file holds, or the names in a folder, outlast a power loss (fsync(2))."""
        descriptor = _open(_landed(path))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _sync_tree(self, path: str) -> None:
        """Have all that is below a folder outlast a power loss: with syncfs(2), as fsync(2) of so many files takes long."""
        self.run("sync", "--file-system", path, timeout=600)

    def exists(self, path: str) -> bool:
        """Return whether there is anything under this name."""
        try:
            _look(path)
        except (FileNotFoundError, NotADirectoryError, LinkError):
            return False
        return True

    def list_folder(self, path: str) -> list[str]:
        """Return the names in a folder, sorted; none where there is no such folder."""
        try:
            with _opened(path) as place:
                return sorted(os.listdir(place.descriptor))  # noqa: PTH208  an open folder
        except (FileNotFoundError, LinkError):
            return []

    def resolve(self, path: str) -> str:
        """Return the path with all links followed, also where nothing is there."""
        return os.path.realpath(path)

    def is_block_device(self, path: str) -> bool:
        """Return whether the path leads to a block device."""
        try:
            return stat.S_ISBLK(Path(path).stat().st_mode)
        except FileNotFoundError:
            return False

    def open_exclusively(self, path: str) -> bool:
        """Return whether a block device could be opened for this process alone (O_EXCL): nobody holds it.

        A mounted device, a member of an array or a device that a daemon has locked refuses.
        """
        try:
            os.close(os.open(path, os.O_RDWR | os.O_EXCL))
        except OSError:
            return False
        return True

    def size(self, path: str) -> int:
        """Return the size of a file or block device in bytes."""
        with Path(path).open("rb") as file:
            return file.seek(0, os.SEEK_END)

    def free_space(self, path: str) -> int:
        """Return the bytes that are free on the file system that holds `path`."""
        return shutil.disk_usage(path).free

    def change_owner(self, path: str, *, user: str, group: str) -> None:
        """Give a file or device another owner.

        Raises:
            LinkError: It is a link, or another name of a file, in a folder that a service can write.
        """
        owner = (pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid)
        landed = _landed(path)
        with _opened(_folder(landed)) as place:
            if not place.is_roots and _look_at(place, landed).st_nlink > 1:
                raise LinkError(path)
            os.chown(Path(landed).name, *owner, dir_fd=place.descriptor, follow_symlinks=False)

    # Users

    def make_user(self, name: str, home: str) -> bool:
        """Make a system user, and a group of its own, that nobody can log in as; return whether there was none."""
        try:
            pwd.getpwnam(name)
        except KeyError:
            shell = "/usr/sbin/nologin"
            self.run("useradd", "--system", "--user-group", "--home-dir", home, "--shell", shell, name)
            return True
        return False

    def remove_user(self, name: str) -> None:
        """Remove a user and its group, if it is there; its files stay."""
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            self.run("userdel", name)

    # Packages

    def package_versions(self, names: Iterable[str]) -> dict[str, str]:
        """Return the versions of those packages that are installed."""
        wanted = tuple(names)
        if not wanted:
            return {}  # dpkg-query would tell of all packages there are
        asked = self.run(
            "dpkg-query", "-W", "-f", "${Package}\t${db:Status-Status}\t${Version}\n", *wanted, check=False
        )
        rows = (line.split("\t") for line in asked.stdout.splitlines())
        return {name: version for name, status, version in rows if status == "installed"}

    def installed_from(self, source: str) -> list[str]:
        """Return the packages that are installed and were made of this source package, sorted."""
        form = "${db:Status-Status}\t${source:Package}\t${Package}\n"
        rows = self.run("dpkg-query", "-W", "-f", form).stdout.splitlines()
        found = (row.split("\t") for row in rows)
        return sorted(name for status, made_of, name in found if (status, made_of) == ("installed", source))

    def install_packages(self, names: Iterable[str], *, release: str = "", keep_all: bool = False) -> None:
        """Install packages without their recommendations, or newer versions of them; none of them starts a service.

        Args:
            names: The packages.
            release: Where they, and what they need, are taken from rather than from elsewhere, as apt_preferences(5) has
                it: `o=Debian,n=forky`. Empty: as apt is configured.
            keep_all: Whether it fails where others would have to be removed for them.

        Raises:
            CommandError: apt could not install them.
        """
        wanted = tuple(names)
        options = (
            *(("--target-release", release) if release else ()),
            *(("--no-remove",) if keep_all else ()),
            "-q",
            "-y",
            "--no-install-recommends",
            "-o",
            "DPkg::Lock::Timeout=300",
            "-o",
            "Dpkg::Options::=--force-confold",
        )
        with self._services_held():
            if self.run("dpkg", "--audit", check=False).stdout:
                # An interrupted dpkg (a power loss) refuses all work until it has been finished.
                finished = self.run(
                    "dpkg", "--force-confold", "--configure", "-a", env=APT_ENVIRONMENT, timeout=600, check=False
                )  # fmt: skip
                if finished.code:
                    # What cannot be configured needs others that had not been unpacked.
                    self.run("apt-get", "--fix-broken", "install", *options, env=APT_ENVIRONMENT, timeout=900)
            done = self.run(
                "apt-get", "install", *options, *wanted, env=APT_ENVIRONMENT, timeout=900, check=False
            )
            if done.code:
                self.run("apt-get", "update", "-q", env=APT_ENVIRONMENT, timeout=300)
                self.run("apt-get", "install", *options, *wanted, env=APT_ENVIRONMENT, timeout=900)

    def kept_packages(self) -> set[str]:
        """Return the packages that were asked for: apt keeps them, whether or not another one needs them."""
        return set(self.run("apt-mark", "showmanual").stdout.split())

    def keep_packages(self, names: Iterable[str]) -> None:
        """Have apt keep packages that are installed because others need them."""
        self.run("apt-mark", "manual", *names)

    def remove_packages(self, names: Iterable[str]) -> None:
        """Remove packages that nothing else needs, and what only they needed; their configuration stays with the operator.

        What the operator could have removed before is left to him.
        """
        before = self._unneeded_packages()
        self.run("apt-mark", "auto", *names)
        if unneeded := self._unneeded_packages() - before:
            self.run("apt-get", "remove", "-q", "-y", *sorted(unneeded), env=APT_ENVIRONMENT, timeout=600)

    def _unneeded_packages(self) -> set[str]:
        """Return what `apt-get autoremove` would remove. It prints: Remv NAME [VERSION]."""
        lines = self.run("apt-get", "--simulate", "--quiet", "autoremove").stdout.splitlines()
        return {line.split()[1] for line in lines if line.startswith("Remv ")}

    @contextlib.contextmanager
    def _services_held(self) -> Generator[None]:
        """Keep packages from starting what they install; an operator's own policy has its place again afterwards."""
        aside = f"{NO_START}.before-openinfra"
        if not _is_ours(present := self.read(NO_START)) and present is not None:
            self._rename(NO_START, aside)
        self.write(NO_START, _POLICY, mode=0o755)
        try:
            yield
        finally:
            self._release_services(aside)

    def _release_services(self, aside: str) -> None:
        if self.exists(aside):
            self._rename(aside, NO_START)
        else:
            self.remove(NO_START)

    def let_services_start(self) -> bool:
        """Let packages start services again where an installation of ours that was killed has left them kept from it.

        Returns:
            Whether one had, and nobody installs anything now.
        """
        if not _is_ours(self.read(NO_START)) or self._is_installing():
            return False
        self._release_services(f"{NO_START}.before-openinfra")
        return True

    def _is_installing(self) -> bool:
        """Return whether apt or dpkg work: they hold this lock (apt's apt-pkg/deb/debsystem.cc)."""
        with Path(_APT_LOCK).open("w", encoding="ascii") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    # Services of systemd

    def reload_systemd(self) -> None:
        """Make systemd read its unit files again."""
        self.run("systemctl", "daemon-reload")

    def service_states(self, *units: str) -> dict[str, str]:
        """Return each unit's ActiveState (active, activating, inactive, failed, ...)."""
        if not units:
            return {}
        return dict(zip(units, self._show("ActiveState", *units), strict=True))

    def _show(self, name: str, *units: str) -> list[str]:
        """Return a property of each unit. systemd answers nobody for a moment when it starts anew, as for a newer libc."""
        argv = ("systemctl", "show", f"--property={name}", "--value", *units)
        shown = self.run(*argv, check=False)
        if shown.code:
            self.sleep(_REEXEC_SECONDS)
            shown = self.run(*argv)
        return [line for line in shown.stdout.splitlines() if line]

    def outdated_programs(self, *units: str) -> set[str]:
        """Return those units that run a program whose file a newer package has replaced since they started."""
        if not units:
            return set()
        numbers = zip(units, self._show("MainPID", *units), strict=True)
        return {unit for unit, number in numbers if self._is_replaced(number)}

    @staticmethod
    def _is_replaced(process: str) -> bool:
        """Return whether the file that a process runs is there no more; a process that has ended runs none."""
        try:
            return str(Path(f"/proc/{process}/exe").readlink()).endswith(" (deleted)")
        except (FileNotFoundError, ProcessLookupError):
            return False

    def enabled_services(self, *units: str) -> set[str]:
        """Return those units that start with the machine."""
        if not units:
            return set()
        shown = self.run("systemctl", "is-enabled", *units, check=False)
        return {unit for unit, word in zip(units, shown.stdout.split(), strict=False) if word == "enabled"}

    def enable_services(self, *units: str) -> None:
        """Let units start with the machine."""
        self.run("systemctl", "enable", "--quiet", *units)

    def start_services(self, *units: str) -> None:
        """Start units; those that run already are left alone. One that cannot start shows it by its state."""
        self.run("systemctl", "reset-failed", *units, check=False)
        self.run("systemctl", "start", *units, check=False)

    def restart_services(self, *units: str) -> None:
        """Stop and start units. One that cannot start again shows it by its state."""
        self.run("systemctl", "reset-failed", *units, check=False)
        self.run("systemctl", "restart", *units, check=False)

    def reload_services(self, *units: str) -> None:
        """Let units read their configuration again without a stop."""
        self.run("systemctl", "reload", *units)

    def stop_services(self, *units: str) -> None:
        """Stop units and keep them from starting with the machine."""
        self.run("systemctl", "disable", "--quiet", "--now", *units)
        self.run("systemctl", "reset-failed", *units, check=False)

    def mask_services(self, *units: str) -> None:
        """Keep units from being started by anybody."""
        self.run("systemctl", "mask", "--quiet", *units)

    # Facts

    def unmask_services(self, *units: str) -> None:
        """Take `mask_services` back."""
        self.run("systemctl", "unmask", "--quiet", *units)

    def hostname(self) -> str:
        """Return the machine's short host name."""
        return socket.gethostname().split(".")[0]

    def addresses(self) -> tuple[InterfaceAddress, ...]:
        """Return the addresses of all interfaces, in the kernel's order: of each, first the one that was there first."""
        links: list[dict[str, Any]] = json.loads(self.run("ip", "-json", "address", "show").stdout or "[]")
        return tuple(
            InterfaceAddress(
                address=one["local"],
                prefix=one["prefixlen"],
                is_added=any(one.get(mark) for mark in _ADDED),
                is_leased=bool(one.get("dynamic")),
            )
            for link in links
            for one in link.get("addr_info", ())
            if "local" in one
        )

    def can_listen(self, address: str, port: int) -> bool:
        """Return whether root could listen there for TCP, beside its own sockets that share their port (SO_REUSEPORT).

        The machine need not have the address yet, as with a virtual one (ip(7): IP_FREEBIND).
        """
        family, level, free = (
            (socket.AF_INET6, socket.IPPROTO_IPV6, _IPV6_FREEBIND)
            if ":" in address
            else (socket.AF_INET, socket.IPPROTO_IP, _IP_FREEBIND)
        )
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            probe.setsockopt(level, free, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return False
        return True

    def boot_id(self) -> str:
        """Return an id that is new after each start of the machine (from systemd, true in containers too)."""
        return self.run(
            "systemctl", "show", "--property=UserspaceTimestampMonotonic", "--value"
        ).stdout.strip()

    def virtualization(self) -> str:
        """Return what systemd-detect-virt says: `none`, `lxc`, `kvm`, ..."""
        return self.run("systemd-detect-virt", check=False).stdout.strip()

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, but no longer than this; return whether it is."""
        limit = self.now() + seconds
        while not condition():
            if self.now() + 1 > limit:
                return False
            self.sleep(1)
        return True


def _is_ours(policy: str | None) -> bool:
    return policy == _POLICY


@dataclass(frozen=True, slots=True)
class _Place:
    """An open folder; `is_roots` where nobody but root can change what is in it."""

    descriptor: int
    is_roots: bool


_LINKS = 40
"""How many links one path may lead through, as in the kernel (path_resolution(7))."""


@contextlib.contextmanager
def _opened(path: str) -> Generator[_Place]:
    """Open a folder, part by part, and no link on the way that somebody else may have put there.

    Raises:
        LinkError: There is such a link.
        FileNotFoundError: There is no such folder.
        NotADirectoryError: A part of the path is something else.
    """
    parts, links = [part for part in path.split("/") if part][::-1], 0
    place = _Place(os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), is_roots=True)
    above: list[_Place] = []
    try:
        while parts:
            part = parts.pop()
            if part == "..":
                if above:
                    os.close(place.descriptor)
                    place = above.pop()
                continue
            try:
                inner = _enter(place, part)
            except OSError as error:
                if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
                    raise
                if not stat.S_ISLNK(os.stat(part, dir_fd=place.descriptor, follow_symlinks=False).st_mode):
                    raise
                links += 1
                if not place.is_roots or links > _LINKS:
                    raise LinkError(path) from error
                target = os.readlink(part, dir_fd=place.descriptor)
                parts += [one for one in target.split("/") if one and one != "."][::-1]
                while target.startswith("/") and above:
                    os.close(place.descriptor)
                    place = above.pop()
                continue
            above.append(place)
            place = inner
        yield place
    finally:
        for one in (*above, place):
            os.close(one.descriptor)


def _enter(place: _Place, part: str) -> _Place:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(part, flags, dir_fd=place.descriptor)
    now = os.fstat(descriptor)
    # In a folder such as /tmp others may write, but take away only what is theirs: what root has there is root's.
    of_group = now.st_mode & stat.S_IWGRP and now.st_gid
    is_own = now.st_uid in {0, os.geteuid()} and not (of_group or now.st_mode & stat.S_IWOTH)
    kept = place.is_roots or bool(os.fstat(place.descriptor).st_mode & stat.S_ISVTX)
    return _Place(descriptor, is_roots=is_own and kept)


def _landed(path: str) -> str:
    """Return where a path leads that ends in a link of root's; itself where it ends in none.

    Raises:
        LinkError: It ends in a link that is not followed.
        FileNotFoundError: There is nothing under that name.
    """
    for _ in range(_LINKS):
        with _opened(_folder(path)) as place:
            if not stat.S_ISLNK(_look_at(place, path).st_mode):
                return path
            if not place.is_roots:
                raise LinkError(path)
            path = str(Path(_folder(path), os.readlink(Path(path).name, dir_fd=place.descriptor)))
    raise LinkError(path)


def _look(path: str) -> os.stat_result:
    with _opened(_folder(path)) as place:
        return _look_at(place, path)


def _look_at(place: _Place, path: str) -> os.stat_result:
    """Return what is known of a name in an open folder, be it a link."""
    return os.stat(Path(path).name or "/", dir_fd=place.descriptor, follow_symlinks=False)


def _open(path: str) -> int:
    """Open a file or a folder; a file that is there to keep its reader waiting does not."""
    with _opened(_folder(path)) as place:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(Path(path).name or "/", flags, dir_fd=place.descriptor)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise LinkError(path) from error
            raise


def _open_file(path: str) -> int:
    """Open a file to read it.

    Raises:
        FileNotFoundError: There is no file.
        LinkError: It is a link that is not followed.
    """
    try:
        descriptor = _open(path)
    except LinkError:
        descriptor = _open(_landed(path))
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        return descriptor
    os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, "no file", path)


def _folder(path: str) -> str:
    return str(Path(path).parent)


def _beside(path: str) -> str:
    """Return the temporary name from which a file or link takes its place."""
    return f"{_folder(path)}/.{Path(path).name}.new"


def is_unfinished(path: str) -> bool:
    """Return whether a name is that of a file which is being written, or was when its writer was killed."""
    name = Path(path).name
    return name.startswith(".") and name.endswith(".new")


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


_current: ContextVar[Machine] = ContextVar("machine", default=Machine())  # noqa: B039  it has no state


def this() -> Machine:
    """Return the machine that the running code manages."""
    return _current.get()


@contextlib.contextmanager
def use(machine: Machine) -> Generator[Machine]:
    """Put another machine in the place of this one for a while, as tests and rehearsals do."""
    token = _current.set(machine)
    try:
        yield machine
    finally:
        _current.reset(token)
