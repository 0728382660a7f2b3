"""Programs of a charm that run without Juju: checks, jobs, what a timer starts."""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path


def search_path() -> str:
    """Return where such a program finds the modules of its charm, for PYTHONPATH.

    The interpreter's own folders are left out: it may be a later one by then, which cannot work with those of the one before.
    """
    own = (Path(os.__file__).parent, *map(Path, site.getsitepackages()))
    folders = (Path(folder).resolve() for folder in sys.path if folder)
    return os.pathsep.join(
        str(folder)
        for folder in folders
        if folder.suffix != ".zip" and not any(folder.is_relative_to(one) for one in own)
    )


def command(script: Path, *arguments: str) -> tuple[str, ...]:
    """Return the command line that runs a script of the charm's."""
    return ("env", f"PYTHONPATH={search_path()}", "python3", str(script), *arguments)
