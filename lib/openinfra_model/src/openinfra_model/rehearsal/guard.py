"""Keeps charms that are played from reaching the machine on which they are played."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

_FILES = frozenset({
    "os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.setxattr", "os.symlink",
    "os.truncate", "os.utime", "shutil.chown", "shutil.copyfile", "shutil.move", "shutil.rmtree",
})  # fmt: skip
"""Audit events of what changes files (https://docs.python.org/3/library/audit_events.html)."""
_REFUSED = _FILES | {
    "os.exec", "os.fork", "os.forkpty", "os.kill", "os.posix_spawn", "os.system", "socket.bind", "socket.connect",
    "socket.sendto", "subprocess.Popen",
}  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class TouchesThisMachineError(BaseException):
    """A charm would do something to this machine. No charm is meant to catch it, so it is no Exception."""


_names: list[str] = []
"""The charms that run now, the innermost last; an empty name where the rehearsal itself goes on in the midst of one."""


@contextlib.contextmanager
def guarded(charm: str) -> Generator[None]:
    """Let nothing that runs meanwhile change this machine, run programs on it or speak to others.

    What lies below the folder for temporary files is free: ops hands secrets to hook tools there.

    Raises:
        TouchesThisMachineError: It is about to.
    """
    _names.append(charm)
    try:
        yield
    finally:
        _names.pop()


@contextlib.contextmanager
def unguarded() -> Generator[None]:
    """Let the rehearsal itself do what it does, in the middle of a charm."""
    with guarded(""):
        yield


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if not _names or not _names[-1]:
        return
    if event == "open":
        path, _, flags = arguments
        # What has a descriptor was opened before.
        if isinstance(path, int) or not flags & _WRITES or _is_free(path, -1):
            return
    elif event not in _REFUSED or (event in _FILES and _is_free(arguments[0], arguments[-1])):
        return
    words = " ".join(str(argument) for argument in arguments[:2] if argument is not None)
    raise TouchesThisMachineError(
        f"{_names[-1]} cannot be rehearsed: it would do {event} {words} on this machine itself. "
        "A rehearsal plays charms that reach their machine through openinfra_charm.machine"
    )


def _is_free(path: object, folder: object) -> bool:
    """Return whether a path may be written: temporary, nowhere, or what Python keeps of a module that it compiled.

    Args:
        path: What the event names first.
        folder: What it names last: where a relative path is taken from, as a file descriptor, if it says so.
    """
    if not isinstance(path, str):
        return False
    beside = f"/proc/self/fd/{folder}" if isinstance(folder, int) and folder > 0 else "."
    text = str(Path(os.path.realpath(beside)) / path)
    return text.startswith((f"{tempfile.gettempdir()}/", "/dev/null")) or "/__pycache__" in text


sys.addaudithook(_look)
