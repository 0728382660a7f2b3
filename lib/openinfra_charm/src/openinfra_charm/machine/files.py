"""Files and devices.

Root follows a link only in a folder that nobody but root can write, whichever part of the path it is: a service
whose folder it is may put a link there at any moment, and would have root read, write or give away another file.
A link there counts as nothing where it is read, and is replaced where something is written.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import shutil
import stat
from pathlib import Path

from openinfra_charm.machine.paths import (
    LinkError,
    folder_of,
    landing,
    look,
    look_at,
    name_beside,
    open_file,
    open_name,
    opened,
)
from openinfra_charm.machine.processes import Processes


class Files(Processes):
    """The machine's files, folders, links and block devices."""

    def read(self, path: str) -> str | None:
        """Return a text file's content, or None where there is no such file."""
        try:
            descriptor = open_file(path)
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
        folder, beside = folder_of(path), name_beside(path)
        self._make_parents(folder)
        self._unlink(beside)
        self._make_file(beside, data, mode=mode, user=user, group=group)
        self._sync(beside)
        self._rename(beside, path)
        self._sync(folder)
        return True

    def renew(self, path: str) -> None:
        """Write a file that is there once more as it is: who goes by its time, or by which file it is, reads it again.

        Raises:
            FileNotFoundError: There is no such file.
        """
        found = self._attributes(path)
        if found is None:
            raise FileNotFoundError(path)
        mode, user, group, _ = found
        folder, beside = folder_of(path), name_beside(path)
        self._unlink(beside)
        self._make_file(beside, self._content(path), mode=mode, user=user, group=group)
        self._sync(beside)
        self._rename(beside, path)
        self._sync(folder)

    def remove(self, path: str) -> bool:
        """Remove a file, a link or a whole folder; return whether there was one."""
        if not self._remove_tree(path):
            return False
        self._sync(folder_of(path))
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
        with opened(path) as place:
            os.fchown(place.descriptor, *owner)
            os.fchmod(place.descriptor, mode)
        return True

    def link(self, path: str, target: str) -> bool:
        """Make `path` a symbolic link to `target`; return whether anything changed."""
        if self._link_target(path) == target:
            return False
        beside = name_beside(path)
        self._unlink(beside)
        self._make_link(beside, target)
        self._rename(beside, path)
        self._sync(folder_of(path))
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
        self._sync(folder_of(new))

    def allocate(self, path: str, size: int, *, user: str = "root", group: str = "root") -> None:
        """Make a sparse file of `size` bytes that only its owner can read.

        Raises:
            FileExistsError: There is something under that name.
        """
        self._make_file(path, b"", mode=0o600, user=user, group=group, size=size)
        self._sync(path)
        self._sync(folder_of(path))

    # What these are made of. A machine in memory has its own, and so loses at a power loss what was not synced.

    def _attributes(self, path: str) -> tuple[int, str, str, int] | None:
        """Return a file's mode, user, group and size; None where nothing is."""
        try:
            now = look(landing(path))
        except (FileNotFoundError, NotADirectoryError, LinkError):
            return None
        return (stat.S_IMODE(now.st_mode), _user_name(now.st_uid), _group_name(now.st_gid), now.st_size)

    def _content(self, path: str) -> bytes:
        with os.fdopen(open_file(path), "rb") as file:
            return file.read()

    def _is_planted(self, path: str) -> bool:
        """Return whether there is a link that is not followed."""
        try:
            with opened(folder_of(path)) as place:
                return not place.is_roots and stat.S_ISLNK(look_at(place, path).st_mode)
        except FileNotFoundError:
            return False

    def _make_parents(self, folder: str) -> None:
        missing = [folder]
        while not self.exists(missing[-1]):
            missing.append(folder_of(missing[-1]))
        for path in reversed(missing[:-1]):
            with opened(folder_of(path)) as place:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(Path(path).name, dir_fd=place.descriptor)
                # What is in a folder lasts only as long as the folder's own name does.
                os.fsync(place.descriptor)

    def _make_file(
        self, path: str, data: bytes, *, mode: int, user: str, group: str, size: int | None = None
    ) -> None:
        """Make a file that is its owner's alone until it has its owner and mode; `size` makes it longer, sparsely."""
        owner = (pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid)
        with opened(folder_of(path)) as place:
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
        with opened(folder_of(path)) as place:
            os.symlink(target, Path(path).name, dir_fd=place.descriptor)

    def _link_target(self, path: str) -> str | None:
        try:
            with opened(folder_of(path)) as place:
                return os.readlink(Path(path).name, dir_fd=place.descriptor)
        except (FileNotFoundError, NotADirectoryError, LinkError):
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:  # it is no link
                return None
            raise

    def _rename(self, old: str, new: str) -> None:
        with opened(folder_of(old)) as here, opened(folder_of(new)) as there:
            names = (Path(old).name, Path(new).name)
            os.replace(*names, src_dir_fd=here.descriptor, dst_dir_fd=there.descriptor)

    def _unlink(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError), opened(folder_of(path)) as place:
            os.unlink(Path(path).name, dir_fd=place.descriptor)

    def _remove_tree(self, path: str) -> bool:
        try:
            with opened(folder_of(path)) as place:
                if stat.S_ISDIR(look_at(place, path).st_mode):
                    shutil.rmtree(Path(path).name, dir_fd=place.descriptor)
                else:
                    os.unlink(Path(path).name, dir_fd=place.descriptor)
        except (FileNotFoundError, NotADirectoryError, LinkError):
            return False
        return True

    def _sync(self, path: str) -> None:
        """Have what a file holds, or the names in a folder, outlast a power loss (fsync(2))."""
        descriptor = open_name(landing(path))
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
            look(path)
        except (FileNotFoundError, NotADirectoryError, LinkError):
            return False
        return True

    def list_folder(self, path: str) -> list[str]:
        """Return the names in a folder, sorted; none where there is no such folder."""
        try:
            with opened(path) as place:
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
        landed = landing(path)
        with opened(folder_of(landed)) as place:
            if not place.is_roots and look_at(place, landed).st_nlink > 1:
                raise LinkError(path)
            os.chown(Path(landed).name, *owner, dir_fd=place.descriptor, follow_symlinks=False)


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
