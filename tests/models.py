"""Models that are gone when a test is over."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import jubilant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def model(name: str, program: str | Path, *, wait_timeout: float = 600) -> Iterator[jubilant.Juju]:
    """Make a model with a `juju` program; after the block it is gone with all its machines and data."""
    juju = jubilant.Juju(cli_binary=program, wait_timeout=wait_timeout)
    remove(juju, name)
    juju.add_model(name)
    try:
        yield juju
    finally:
        remove(juju, name)


def remove(juju: jubilant.Juju, name: str) -> None:
    """Remove a model with all its machines and data, if it is there: a run that was interrupted leaves its own."""
    if exists(juju, name):
        juju.destroy_model(name, destroy_storage=True, force=True)


def exists(juju: jubilant.Juju, name: str) -> bool:
    """Tell whether the controller has a model of this name."""
    models = json.loads(juju.cli("models", "--format", "json", include_model=False))["models"]
    return any(model["short-name"] == name for model in models)
