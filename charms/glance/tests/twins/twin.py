"""A software twin of Glance: its programs and its process on one machine, as far as its charm meets them.

Played: what `glance-manage db` does, in which order it can; that the process ends at once where its configuration does not lead to a pool
of Ceph, or librados finds no configuration or key of the user there.

Left out: images.
"""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

from openinfra_charm.machine import Result
from openinfra_charm.testing.openstack import Api

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine

PORT = 19292
SYNC, EXPAND, MIGRATE, CONTRACT, DEFINITIONS = "sync", "expand", "migrate", "contract", "load_metadefs"
_BEFORE = {MIGRATE: EXPAND, CONTRACT: MIGRATE, DEFINITIONS: SYNC}
"""What has to be done before: `sync` is all three phases."""


class Glance(Api):
    """Glance on one machine; `done` are the commands that were done in the database."""

    def __init__(self, machine: MemoryMachine, done: list[str], application: str = "glance") -> None:
        super().__init__(machine, application, port=PORT, done=done)

    def ran(self, program: str, *arguments: str) -> Result | None:
        """Play `glance-manage --config-file=... db COMMAND`."""
        option, group, command, *more = arguments
        assert (program, group) == ("glance-manage", "db")
        if not self._parsed(option.removeprefix("--config-file=")).has_option("database", "connection"):
            return Result(
                code=1, stdout="", stderr="sqlalchemy.exc.ArgumentError: Expected string or URL object"
            )
        if (first := _BEFORE.get(command)) and not {first, SYNC} & set(self.done):
            return Result(code=1, stdout="", stderr=f"Database {command} is not possible: {first} it first")
        if command == DEFINITIONS:
            assert more[:1] == ["--path"]
            assert more[2:] == ["--merge", "--prefer_new"]
        self.done.append(command)
        return None

    def can_run(self, unit: str) -> bool:
        """Return whether the process finds what it needs to start."""
        if unit != self.unit:
            return True
        text = self.machine.read(f"/etc/systemd/system/{unit}") or ""
        folder = re.search(r"^Environment=OS_GLANCE_CONFIG_DIR=(.+)$", text, re.MULTILINE)
        return (
            folder is not None and self._leads_to_a_pool(f"{folder[1]}/glance-api.conf") and SYNC in self.done
        )

    def _leads_to_a_pool(self, path: str) -> bool:
        found = self._parsed(path)
        if not found.has_option("DEFAULT", "enabled_backends"):
            return False
        store, _, kind = found["DEFAULT"]["enabled_backends"].partition(":")
        user, config = found[store]["rbd_store_user"], self._parsed(found[store]["rbd_store_ceph_conf"])
        if kind != "rbd" or not config.has_option("global", "mon_host"):
            return False
        return self._parsed(config["global"]["keyring"]).has_option(f"client.{user}", "key")

    def _parsed(self, path: str) -> configparser.RawConfigParser:
        parser = configparser.RawConfigParser(strict=False, default_section="")
        parser.read_string(self.machine.read(path) or "")
        return parser
