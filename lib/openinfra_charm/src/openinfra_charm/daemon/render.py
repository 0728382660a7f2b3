"""Configuration files from Jinja2 templates: whole, durable, and written only when their content changed."""

from __future__ import annotations

import hashlib
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


class Templates:
    """The templates of one application; what was made of the same templates and values before is not made again."""

    def __init__(self, machine: Machine, application: str, folder: Path) -> None:
        self._machine = machine
        self._folder = folder
        self._made = f"/var/lib/openinfra/{application}/templates"

    def fill(self, name: str, **values: Any) -> str:
        """Fill in the template `name`.

        Args:
            name: A file in the folder; it may include others there.
            values: What the template may use; their `repr` tells whether one has changed.

        Raises:
            jinja2.UndefinedError: The template uses a value that was not given.
        """
        texts = [path.read_text(encoding="utf-8") for path in sorted(self._folder.iterdir())]
        made_of = hashlib.sha256(repr((texts, sorted(values.items()))).encode()).hexdigest()
        known, _, content = (self._machine.read(f"{self._made}/{name}") or "").partition("\n")
        if known != made_of:
            content = self._fill(name, values)
            # Some hold credentials.
            self._machine.write(f"{self._made}/{name}", f"{made_of}\n{content}", mode=0o600)
        return content

    def _fill(self, name: str, values: dict[str, Any]) -> str:
        # Imported here: it takes a quarter of a bare hook's time, and a hook with nothing new does without.
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

        environment = Environment(
            loader=FileSystemLoader(self._folder),
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
