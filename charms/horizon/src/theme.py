"""The site's own theme: the resource `theme`, which becomes a part of release trees.

It is asked for where it may be another one. In between its place is on record, since each question is a request to Juju's controller.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import ops

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.machine import Machine

NAME = "theme"
"""What the resource is called, and its file in a release tree."""
_HOOKS = ("hooks/install", "hooks/upgrade-charm", "hooks/config-changed")


class Theme:
    """The theme, as far as there is one."""

    def __init__(self, resources: ops.Resources, machine: Machine, application: str) -> None:
        self._resources = resources
        self._machine = machine
        self._record = f"/var/lib/openinfra/{application}/theme"

    def files(self) -> Mapping[str, str]:
        """Return where its archive is; nothing where there is none."""
        if os.environ.get("JUJU_DISPATCH_PATH") in _HOOKS:
            self._machine.write(self._record, self._fetched())
        path = self._machine.read(self._record)
        return {NAME: path} if path and Path(path).is_file() else {}

    def _fetched(self) -> str:
        try:
            path = self._resources.fetch(NAME)
        except ops.ModelError:
            # Nobody has attached one. With a bundle, which has to name a file, it is an empty one.
            return ""
        return str(path) if path.is_file() and path.stat().st_size else ""
