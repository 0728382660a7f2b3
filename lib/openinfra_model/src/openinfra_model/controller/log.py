"""The log of one model: what `debug-log` shows."""

from __future__ import annotations

import logging
import time
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

from openinfra_model.controller.unit_files import tag

if TYPE_CHECKING:
    from pathlib import Path

_BYTES = 64 * 2**20


class ModelLog:
    """Lines in the format of `juju debug-log`, in a file of bounded size that only root can read."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        handler = RotatingFileHandler(path, maxBytes=_BYTES, backupCount=1, encoding="utf-8")
        handler.setFormatter(_formatter())
        self._logger = logging.getLogger(f"openinfra.model.{path.stem}")
        self._logger.setLevel(logging.DEBUG)
        self._logger.propagate = False
        self._logger.addHandler(handler)

    def unit(self, unit: str, module: str, level: str, message: str) -> None:
        """Add a line about a unit; `module` is the hook, or `juju-log` for what a charm says."""
        self._add(tag(unit), level, f"unit.{unit}.{module}", message)

    def machine(self, machine: str, level: str, message: str) -> None:
        """Add a line about a machine."""
        self._add(f"machine-{machine}", level, "openinfra.machine", message)

    def _add(self, entity: str, level: str, module: str, message: str) -> None:
        number = logging.getLevelNamesMapping().get(level, logging.INFO)
        self._logger.log(number, message, extra={"entity": entity, "place": module})


def _formatter() -> logging.Formatter:
    formatter = logging.Formatter(
        "{entity}: {asctime} {levelname} {place} {message}", datefmt="%Y-%m-%d %H:%M:%S", style="{"
    )
    formatter.converter = time.gmtime
    return formatter
