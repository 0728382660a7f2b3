"""A software twin of Placement: its programs and its process on one machine, as far as its charm meets them.

Played: what `placement-manage db` does, in which order it can; that the process ends at once where its configuration does not lead to a
database, or the database has no tables, since it writes its traits and resource classes there whenever it starts.

Left out: all that clients store there.
"""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

from openinfra_charm.machine import Result
from openinfra_charm.testing.openstack import Api

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine

PORT = 18778
SYNC, MIGRATE_DATA = "sync", "online_data_migrations"


class Placement(Api):
    """Placement on one machine; `done` are the commands that were done in the database."""

    def __init__(self, machine: MemoryMachine, done: list[str], application: str = "placement") -> None:
        super().__init__(machine, application, port=PORT, done=done)

    def ran(self, program: str, *arguments: str) -> Result | None:
        """Play `placement-manage --config-file=... db COMMAND`."""
        option, group, command = arguments
        assert (program, group) == ("placement-manage", "db")
        if not self._leads_to_a_database(option.removeprefix("--config-file=")):
            return Result(
                code=1, stdout="", stderr="value required for option connection in group [placement_database]"
            )
        if command != SYNC and SYNC not in self.done:
            return Result(
                code=2, stdout="Some migrations failed unexpectedly. Check log for details.", stderr=""
            )
        self.done.append(command)
        return None

    def can_run(self, unit: str) -> bool:
        """Return whether the process finds what it needs to start."""
        if unit != self.unit:
            return True
        text = self.machine.read(f"/etc/systemd/system/{unit}") or ""
        folder = re.search(r"^Environment=OS_PLACEMENT_CONFIG_DIR=(.+)$", text, re.MULTILINE)
        return (
            folder is not None
            and self._leads_to_a_database(f"{folder[1]}/placement.conf")
            and SYNC in self.done
        )

    def _leads_to_a_database(self, path: str) -> bool:
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(self.machine.read(path) or "")
        return parser.has_option("placement_database", "connection")
