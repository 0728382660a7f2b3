"""A software twin of Horizon: its programs and its process on one machine, as far as its charm meets them.

Played: that its database needs its tables, that a release tree is completed by the program that makes its static files, and that the
process ends at once where its tree was not, or its configuration cannot be read.

Left out: pages, and what people do with them.
"""

from __future__ import annotations

import ast
import configparser
from typing import TYPE_CHECKING

from openinfra_charm.machine import Result
from openinfra_charm.testing.openstack import Api

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine

PORT = 10443
MIGRATE = "migrate"
STATIC = "portal_static.py"


class Horizon(Api):
    """Horizon on one machine; `done` are the commands that were done in the database. With `bad_theme` nothing can be compiled."""

    def __init__(self, machine: MemoryMachine, done: list[str], application: str = "horizon") -> None:
        super().__init__(machine, application, port=PORT, done=done)
        self.bad_theme = False
        self.programs = {"runuser": self._run_or_complete}

    def ran(self, program: str, *arguments: str) -> Result | None:
        """Play `python portal_manage.py CONFIG migrate --noinput --skip-checks`."""
        config, command, *_ = arguments
        assert (program, command) == ("portal_manage.py", MIGRATE)
        if not self._settings(config).has_section("database"):
            return Result(code=1, stdout="", stderr="ImproperlyConfigured: there is no database")
        self.done.append(command)
        return None

    def can_run(self, unit: str) -> bool:
        """Return whether the process finds what it needs to start."""
        if unit != self.unit:
            return True
        settings = self._settings(f"/etc/{self.application}/{self.application.partition('-')[0]}.conf")
        tree = self.machine.resolve(f"/opt/{self.application}/current")
        return settings.has_section("settings") and self.machine.exists(f"{tree}/made/static/manifest.json")

    def _run_or_complete(self, argv: tuple[str, ...], stdin: str | None) -> Result | str | None:
        """Play a program; the one that makes static files has to do with no database."""
        if not argv[5:6] or not argv[5].endswith(f"/{STATIC}"):
            return self._run(argv, stdin)
        folder, name = argv[6:]
        if self.bad_theme:
            return Result(code=1, stdout="", stderr="CompileError: Undefined variable: $brand")
        self.machine._make_file(  # pyright: ignore[reportPrivateUsage]
            f"{folder}/static/manifest.json", name.encode(), mode=0o644, user="root", group="root"
        )
        return None

    def _settings(self, path: str) -> configparser.RawConfigParser:
        """Return the configuration, each of whose settings has to be a literal."""
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(self.machine.read(path) or "")
        if parser.has_section("settings"):
            for value in parser["settings"].values():
                ast.literal_eval(value)
        return parser
