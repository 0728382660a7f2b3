"""A charm's modules in a namespace of their own: every charm has a module `charm`, and most a `state`."""

from __future__ import annotations

import importlib
import shutil
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_model.rehearsal import adapter

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

SHARED = frozenset({"ops", "openinfra_charm", "yaml", "jinja2", "markupsafe", "websocket", "opentelemetry"})
"""What all charms of a rehearsal have in common, in this program's version."""


class CharmCode:
    """The code of one charm, unpacked in a folder, and of its twin where there is one."""

    _active: CharmCode | None = None

    def __init__(self, archive: Path, folder: Path, twins: Path | None = None) -> None:
        self.directory = _unpacked(archive, folder)
        self.has_twin = twins is not None
        self._paths = [str(self.directory / "src"), *([str(twins)] if twins else [])]
        vendored = [self.directory / name for name in ("lib", "venv")]
        self._vendored = [str(path) for path in vendored if path.is_dir()]
        self._own = _names(self._paths + self._vendored) - SHARED
        self._modules: dict[str, ModuleType] = {}
        self._loaded = 0
        """How many modules there were when this charm's had come back."""
        with self.active(), adapter.main_captured():
            self.program = adapter.Program(importlib.import_module("charm"), self.directory)

    def module(self, name: str) -> ModuleType:
        """Return one of the charm's modules, imported."""
        with self.active():
            return importlib.import_module(name)

    @contextmanager
    def active(self) -> Generator[None]:
        """Have this charm's modules in the place of any other charm's."""
        before = CharmCode._active
        self.activate()
        try:
            yield
        finally:
            if before is not None and before is not CharmCode._active:
                before.activate()

    def activate(self) -> None:
        """Make this charm's modules those that `import` finds, until another charm's are."""
        other = CharmCode._active
        if other is self:
            return
        if other is not None:
            other.deactivate()
        sys.path[:0] = self._paths
        sys.path += self._vendored
        sys.modules.update(self._modules)
        self._loaded = len(sys.modules)
        CharmCode._active = self

    def deactivate(self) -> None:
        """Take this charm's modules away, to be brought back as they are."""
        for path in self._paths + self._vendored:
            sys.path.remove(path)
        if len(sys.modules) != self._loaded:
            self._modules = {
                name: module for name, module in sys.modules.items() if name.partition(".")[0] in self._own
            }
        for name in self._modules:
            del sys.modules[name]


def _unpacked(archive: Path, folder: Path) -> Path:
    """Unpack a charm; a directory (a charm's source with its metadata split) is taken as it is."""
    if archive.is_dir():
        return archive
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(archive) as charm:
        charm.extractall(folder)
    return folder


def _names(paths: list[str]) -> set[str]:
    """Return the names of the modules and packages at the top of some folders."""
    found = {entry for path in paths for entry in Path(path).iterdir()}
    modules = {entry.stem for entry in found if entry.suffix == ".py"}
    return modules | {entry.name for entry in found if entry.is_dir() and entry.name.isidentifier()}
