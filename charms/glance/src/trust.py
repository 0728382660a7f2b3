"""The CA certificates by which a unit knows others: the site's, and the system's for what it downloads elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

SYSTEM = "/etc/ssl/certs/ca-certificates.crt"
"""Where the package ca-certificates has them."""


class Trust:
    """One file with both; whoever uses it reads it for each connection.

    Args:
        machine: The machine.
        path: The file.
        site: That of the site's CA certificates.
    """

    def __init__(self, machine: Machine, path: str, *, site: str) -> None:
        self._machine = machine
        self._path = path
        self._site = site

    def write(self) -> None:
        """Bring the file to what both have now."""
        texts = (self._machine.read(path) or "" for path in (self._site, SYSTEM))
        self._machine.write(
            self._path, "".join(text if text.endswith("\n") else f"{text}\n" for text in texts if text)
        )
