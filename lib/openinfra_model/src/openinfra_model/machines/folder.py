"""Folders that a machine sees too, and in which its root may have put links: written from outside without following any."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path, PurePosixPath

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """An open folder. Names lead nowhere else; what is in the way of a folder or a file, such as a link, is removed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    @contextmanager
    def opened(cls, root: Path, *names: str) -> Generator[Folder]:
        """Open a folder below `root`, which is the caller's own; missing ones are made."""
        descriptor = os.open(root, _OPEN)
        try:
            for name in names:
                inner = _enter(descriptor, name)
                os.close(descriptor)
                descriptor = inner
            yield cls(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def below(self, path: PurePosixPath) -> Generator[Folder]:
        """Open a folder in this one; missing ones are made."""
        descriptor = os.dup(self._descriptor)
        try:
            for name in path.parts:
                inner = _enter(descriptor, name)
                os.close(descriptor)
                descriptor = inner
            yield Folder(descriptor)
        finally:
            os.close(descriptor)

    def read(self, name: str) -> str:
        """Return a file's text, empty where there is no file."""
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._descriptor)
        except OSError:
            return ""
        with os.fdopen(descriptor, encoding="utf-8") as file:
            return file.read()

    def write(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Put a file in the place of whatever has its name; at no moment is there half a file."""
        beside = f"{name}.new"
        self.remove(beside)
        with os.fdopen(os.open(beside, _WRITE, mode, dir_fd=self._descriptor), "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        self._clear(name)
        os.rename(beside, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def copy(self, name: str, source: Path) -> None:
        """Put a copy of a file in the place of whatever has its name."""
        self.remove(name)
        target = os.fdopen(os.open(name, _WRITE, 0o644, dir_fd=self._descriptor), "wb")
        with target, source.open("rb") as stream:
            shutil.copyfileobj(stream, target)

    def link(self, name: str, target: str) -> None:
        """Put a symbolic link there, unless it is there already."""
        with suppress(OSError):
            if os.readlink(name, dir_fd=self._descriptor) == target:
                return
        self.remove(name)
        os.symlink(target, name, dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """Remove whatever has a name; it is no error if nothing has."""
        try:
            os.unlink(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            pass
        except IsADirectoryError:
            shutil.rmtree(name, dir_fd=self._descriptor)

    def _clear(self, name: str) -> None:
        """Remove a folder in a file's place, which renaming would not replace."""
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.lstat(name, dir_fd=self._descriptor).st_mode):
                shutil.rmtree(name, dir_fd=self._descriptor)


def _enter(descriptor: int, name: str) -> int:
    """Open a folder in a folder, made where there is none."""
    if name in {"", ".", ".."} or "/" in name:
        raise ValueError(f"{name!r} is no name of a folder")
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=descriptor)
    try:
        return os.open(name, _OPEN, dir_fd=descriptor)
    except NotADirectoryError:  # a file, or a link wherever it leads
        os.unlink(name, dir_fd=descriptor)
        os.mkdir(name, dir_fd=descriptor)
        return os.open(name, _OPEN, dir_fd=descriptor)
