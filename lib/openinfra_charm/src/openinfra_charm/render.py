"""Configuration files from Jinja2 templates: whole, durable, and written only when their content changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from openinfra_charm.machine import Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file as it shall be on the machine."""

    path: str
    content: str
    mode: int = 0o644
    user: str = "root"
    group: str = "root"


def template(folder: Path, name: str, **values: Any) -> str:
    """Fill in the template `name` of `folder`.

    Raises:
        jinja2.UndefinedError: The template uses a value that was not given.
    """
    # Imported here: a hook that renders nothing does not pay for it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  configuration files, not HTML
    )
    return environment.get_template(name).render(values)


def write(machine: Machine, *files: File) -> frozenset[str]:
    """Bring files to their content, mode and owner; return the paths of those that changed."""
    return frozenset(
        file.path
        for file in files
        if machine.write(file.path, file.content, mode=file.mode, user=file.user, group=file.group)
    )
