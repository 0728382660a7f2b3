"""SQL to this machine's MariaDB, over its socket as the administrator: the one way from the charm to the data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

SOCKET = "/run/mysqld/mysqld.sock"
SECONDS = 15
CONNECTION_ERRORS = frozenset({1047, 2002, 2003, 2006, 2013})
"""Not in a primary component yet (1047), or no server that answers (MariaDB: include/errmsg.h)."""
CONNECT_SECONDS = 5


class UnreachableError(Exception):
    """MariaDB does not answer here, or not as a part of the cluster."""


class StatementError(Exception):
    """MariaDB refused a statement; the message is its own."""


def quote(text: str) -> str:
    """Return a string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def name(text: str) -> str:
    """Return a quoted identifier."""
    return "`" + text.replace("`", "``") + "`"


def pattern(text: str) -> str:
    """Return a quoted database name for GRANT, where `_` and `%` would stand for anything."""
    return name(re.sub(r"([_%\\])", r"\\\1", text))


class Sql:
    """The client program, with the statement on its standard input: what is in it is seen by nobody else."""

    def __init__(self, machine: Machine, *, socket: str = SOCKET) -> None:
        self._machine = machine
        self._socket = socket

    def query(self, statement: str, *, seconds: float = SECONDS) -> list[list[str]]:
        """Run one or more statements, which may take so long, and return the rows of the last.

        Raises:
            UnreachableError: No server answers, or it is not in a primary component.
            StatementError: The server refused a statement.
        """
        try:
            done = self._machine.run(
                "mariadb", "--no-defaults", "--batch", "--skip-column-names", "--user=root", f"--socket={self._socket}",
                f"--connect-timeout={CONNECT_SECONDS}", stdin=f"{statement};\n", timeout=seconds, check=False,
            )  # fmt: skip
        except TimeoutError as error:
            raise UnreachableError(f"MariaDB did not answer within {seconds:g} s") from error
        if done.code:
            # From 11.8 on the client repeats the statement first.
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR ")]
            message = errors[-1] if errors else done.stderr.strip()
            code = re.match(r"ERROR (\d+)", message)
            if code and int(code[1]) in CONNECTION_ERRORS:
                raise UnreachableError("MariaDB does not serve here yet")
            raise StatementError(message or f"the client ended with exit code {done.code}")
        return [line.split("\t") for line in done.stdout.splitlines()]
