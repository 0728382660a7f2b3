"""Programs of a release tree, run to their end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from openinfra_charm.machine import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.machine import Machine

_SECONDS = 300

_ERROR = re.compile(r"\b(\w+\.)*\w+(Error|Exception): .+")
"""As Python names what it raises."""


class Programs:
    """The programs of one application's release trees on this machine; they run as the service's user."""

    def __init__(self, machine: Machine, application: str, *, user: str = "") -> None:
        self._machine = machine
        self._application = application
        self._user = user or application

    def path(self, name: str, tree: str = "current") -> str:
        """Return where a program is."""
        return f"/opt/{self._application}/{tree}/bin/{name}"

    def run(
        self,
        program: str,
        *arguments: str,
        tree: str = "current",
        env: Mapping[str, str] | None = None,
        seconds: float = _SECONDS,
    ) -> str:
        """Run a program, and return what it prints; secrets go into `env`.

        Args:
            program: Its name.
            arguments: Its arguments.
            tree: The tree that it is of.
            env: Variables of its environment.
            seconds: How long it may take.

        Raises:
            CommandError: Its exit code is not 0.
            TimeoutError: It ran for too long.
        """
        # What the charm finds its own modules by must not lead the tree's Python to them.
        variables = {**(env or {}), "PYTHONPATH": ""}
        command = ("runuser", "-u", self._user, "--", self.path(program, tree), *arguments)
        ran = self._machine.run(*command, env=variables, timeout=seconds, check=False)
        if ran.code:
            # With oslo.log a program says in its output what went wrong.
            raise CommandError(command, ran.code, ran.stderr.strip() or ran.stdout)
        return ran.stdout


def last_line(error: CommandError | TimeoutError) -> str:
    """Return what a program said last: before that are the lines of its traceback, and behind it those of SQLAlchemy's statement."""
    said = error.stderr.strip() if isinstance(error, CommandError) else ""
    lines = [line.strip() for line in (said or str(error)).splitlines() if line.strip()]
    named = [found[0] for line in lines if (found := _ERROR.search(line))]
    return named[-1] if named else lines[-1]
