"""A machine in memory with Keystone's programs, and a systemd that runs its process."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import twin

from openinfra_charm.machine import Answer, Result
from openinfra_charm.testing.openstack import Api

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine, Request

PORT = 15000
MOST_TOKENS = 30
"""Tokens that are remembered; the older ones are as good as forgotten by whoever had them."""


class Keystone(Api):
    """Keystone's programs and process on one machine; `issued` are the tokens that users still have, all machines' alike."""

    def __init__(
        self,
        database: twin.Database,
        issued: list[twin.Token],
        machine: MemoryMachine,
        application: str = "keystone",
    ) -> None:
        super().__init__(machine, application, port=PORT, done=[])
        self.api = twin.Api(database)
        self.issued = issued
        self.lib = f"/var/lib/{application}"

    @property
    def config(self) -> str:
        """The configuration."""
        return self.machine.read(f"/etc/{self.application}/keystone.conf") or ""

    @property
    def lifetime(self) -> int:
        """Seconds for which a token is valid, by the configuration."""
        found = re.search(r"^expiration = (\d+)$", self.config, re.MULTILINE)
        return int(found[1]) if found else 3600

    def keys(self, kind: str = "fernet") -> dict[int, str]:
        """Return the keys in a repository, as Keystone reads them for each request."""
        folder = self.machine.resolve(f"{self.lib}/{kind}-keys")
        return {
            int(name): self.machine.read(f"{folder}/{name}") or ""
            for name in self.machine.list_folder(folder)
            if name.isdecimal()
        }

    def takes(self, token: twin.Token) -> bool:
        """Return whether this process takes a token."""
        return self.api.takes(token, self.keys(), self.machine.now())

    def log_in(self, username: str, password: str) -> twin.Token | None:
        """Have a user ask this process for a token; None where it does not serve or does not know him."""
        found = self.api.database.find("users", name=username, enabled=True)
        if not self.serves or not self.keys() or not found or found[0]["password"] != password:
            return None
        now, keys = self.machine.now(), self.keys()
        stamp = self.api.database.stamp(found[0])
        return twin.Token(keys[max(keys)], found[0]["id"], stamp, now, now + self.lifetime)

    def time_passed(self) -> None:
        """Let somebody log in here."""
        for user in self.api.database.find("users")[:1]:
            if token := self.log_in(user["name"], user["password"]):
                self.issued.append(token)
                del self.issued[:-MOST_TOKENS]

    def answer(self, request: Request) -> Answer:
        """Answer a request as the process does with the keys on its machine."""
        answer, token = self.api.answer(request, self.keys(), self.lifetime, self.machine.now())
        if token:
            self.issued.append(token)
        return answer

    def converted(self, section: str) -> None:
        """Have the tables take any characters."""
        assert self.api.database.synced, "there are no tables"
        assert section == "database"
        self.api.database.characters = "utf8mb4"

    def ran(self, program: str, *arguments: str) -> Result | None:
        """Play `keystone-manage --config-file=... COMMAND ...`."""
        assert program == "keystone-manage"
        assert self.config, "keystone-manage has no configuration"
        database, command = self.api.database, arguments[1]
        if command == "db_sync":
            database.sync()
        elif command == "credential_migrate":
            keys = self.keys("credential")
            if not set(database.credentials.values()) <= set(keys.values()):
                return Result(code=1, stdout="", stderr="Credential could not be decrypted.")
            database.credentials = dict.fromkeys(database.credentials, keys[max(keys)])
        else:
            options = dict(word.removeprefix("--bootstrap-").split("=", 1) for word in arguments[2:])
            password = self.machine.env["OS_BOOTSTRAP_PASSWORD"]
            database.bootstrap(options["username"], password, options["public-url"], options["region-id"])
        return None
