"""Configuration files from Jinja2 templates: whole, durable, and written only when their content changed.

In a workload:

    self._templates = render.Templates(machine, application, HERE / "templates")

    config = self._templates.fill("memcached.conf.j2", CONFIG, listen=address)
    changed = render.write(machine, config, dataclasses.replace(unit, mode=0o755), File(path=ASK, content=program))

A file is made anew only when its template, its values or the file itself have changed since it was written. Digests show
that: the file is the only copy of what is in it, as it may hold credentials.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pathlib import Path

    from openinfra_charm.machine import Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What a file was made of, as a digest, and where that is recorded when the file is written."""

    digest: str
    record: str


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file as it shall be on the machine."""

    path: str
    content: str
    mode: int = 0o644
    user: str = "root"
    group: str = "root"
    origin: Origin | None = field(default=None, compare=False)


class Templates:
    """The templates of one application; a file that was made of the same templates and values before is not made again."""

    def __init__(self, machine: Machine, application: str, folder: Path) -> None:
        self._machine = machine
        self._folder = folder
        self._records = f"/var/lib/openinfra/{application}/rendered"
        self._copies = f"/var/lib/openinfra/{application}/templates"
        """Where earlier versions kept whole files."""

    def fill(self, name: str, path: str, /, **values: Any) -> File:
        """Fill in a template; return the file for `write`, readable for all unless its caller says otherwise.

        Args:
            name: A file in the folder; it may include others there.
            path: Where the file will be.
            values: What the template may use; their `repr` shows whether one has changed, but for sets, which have no order.

        Raises:
            jinja2.UndefinedError: The template uses a value that was not given.
        """
        made_of = _written((name, self._texts, sorted(values.items())))
        origin = Origin(
            digest=_digest(made_of), record=f"{self._records}/{path.strip('/').replace('/', '-')}"
        )
        content = self._machine.read(path)
        if content is None or self._machine.read(origin.record) != _record(origin, content):
            self._machine.remove(self._copies)
            content = self._fill(name, values)
        return File(path=path, content=content, origin=origin)

    @cached_property
    def _texts(self) -> list[str]:
        return [path.read_text(encoding="utf-8") for path in sorted(self._folder.iterdir())]

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
    return frozenset(file.path for file in files if _write(machine, file))


def _write(machine: Machine, file: File) -> bool:
    changed = machine.write(file.path, file.content, mode=file.mode, user=file.user, group=file.group)
    if file.origin:
        # A digest of what can be guessed is as good as that.
        machine.write(file.origin.record, _record(file.origin, file.content), mode=0o600)
    return changed


def _record(origin: Origin, content: str) -> str:
    return f"{origin.digest} {_digest(content)}\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _written(value: object) -> str:
    """Return a value as text that is the same in each process: what a set is iterated in differs."""
    match value:
        case set() | frozenset():
            return f"{{{', '.join(sorted(_written(one) for one in cast('set[object]', value)))}}}"
        case Mapping():
            items = cast("Mapping[object, object]", value).items()
            return f"{{{', '.join(f'{_written(key)}: {_written(one)}' for key, one in items)}}}"
        case tuple() | list():
            return f"({', '.join(_written(one) for one in cast('list[object]', value))})"
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return f"{type(value).__name__}{_written(fields)}"
        case _:
            return repr(value)
