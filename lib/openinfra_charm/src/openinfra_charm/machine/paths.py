"""Names of files, opened part by part: root follows no link that a service may have put there."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


class LinkError(OSError):
    """A name is a link in a folder that a service can write, and root does not follow it there."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.ELOOP, "a link in a folder that a service can write is not followed", path)


@dataclass(frozen=True, slots=True)
class Place:
    """An open folder; `is_roots` where nobody but root can change what is in it."""

    descriptor: int
    is_roots: bool


_LINKS = 40
"""How many links one path may lead through, as in the kernel (path_resolution(7))."""


@contextlib.contextmanager
def opened(path: str) -> Generator[Place]:
    """Open a folder, part by part, and no link on the way that somebody else may have put there.

    Raises:
        LinkError: There is such a link.
        FileNotFoundError: There is no such folder.
        NotADirectoryError: A part of the path is something else.
    """
    parts, links = [part for part in path.split("/") if part][::-1], 0
    place = Place(os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), is_roots=True)
    above: list[Place] = []
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


def _enter(place: Place, part: str) -> Place:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(part, flags, dir_fd=place.descriptor)
    now = os.fstat(descriptor)
    # In a folder such as /tmp others may write, but take away only what is theirs: what root has there is root's.
    of_group = now.st_mode & stat.S_IWGRP and now.st_gid
    is_own = now.st_uid in {0, os.geteuid()} and not (of_group or now.st_mode & stat.S_IWOTH)
    kept = place.is_roots or bool(os.fstat(place.descriptor).st_mode & stat.S_ISVTX)
    return Place(descriptor, is_roots=is_own and kept)


def landing(path: str) -> str:
    """Return where a path leads that ends in a link of root's; itself where it ends in none.

    Raises:
        LinkError: It ends in a link that is not followed.
        FileNotFoundError: There is nothing under that name.
    """
    for _ in range(_LINKS):
        with opened(folder_of(path)) as place:
            if not stat.S_ISLNK(look_at(place, path).st_mode):
                return path
            if not place.is_roots:
                raise LinkError(path)
            path = str(Path(folder_of(path), os.readlink(Path(path).name, dir_fd=place.descriptor)))
    raise LinkError(path)


def look(path: str) -> os.stat_result:
    """Return what is known of a name, be it a link.

    Raises:
        FileNotFoundError: There is nothing.
        LinkError: It is in a folder that a link leads to which is not followed.
    """
    with opened(folder_of(path)) as place:
        return look_at(place, path)


def look_at(place: Place, path: str) -> os.stat_result:
    """Return what is known of a name in an open folder, be it a link."""
    return os.stat(Path(path).name or "/", dir_fd=place.descriptor, follow_symlinks=False)


def open_name(path: str) -> int:
    """Open a file or a folder; a file that is there to keep its reader waiting does not."""
    with opened(folder_of(path)) as place:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(Path(path).name or "/", flags, dir_fd=place.descriptor)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise LinkError(path) from error
            raise


def open_file(path: str) -> int:
    """Open a file to read it.

    Raises:
        FileNotFoundError: There is no file.
        LinkError: It is a link that is not followed.
    """
    try:
        descriptor = open_name(path)
    except LinkError:
        descriptor = open_name(landing(path))
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        return descriptor
    os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, "no file", path)


def folder_of(path: str) -> str:
    """Return the folder that a name is in."""
    return str(Path(path).parent)


def name_beside(path: str) -> str:
    """Return the temporary name from which a file or link takes its place."""
    return f"{folder_of(path)}/.{Path(path).name}.new"


def is_unfinished(path: str) -> bool:
    """Return whether a name is that of a file which is being written, or was when its writer was killed."""
    name = Path(path).name
    return name.startswith(".") and name.endswith(".new")
