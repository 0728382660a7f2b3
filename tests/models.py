"""Models that are gone when a test is over."""

from __future__ import annotations

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
    juju.add_model(name)
    try:
        yield juju
    finally:
        juju.destroy_model(name, destroy_storage=True, force=True)
