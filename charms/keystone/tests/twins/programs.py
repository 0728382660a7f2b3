"""A machine in memory with Keystone's programs, and a systemd that runs its process."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import twin

from openinfra_charm.machine import Answer, Result
from openinfra_charm.testing import Software

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_charm.testing import MemoryMachine, Request

PORT = 15000
MOST_TOKENS = 30
"""Tokens that are remembered; the older ones are as good as forgotten by whoever had them."""


class Keystone(Software):
    """Keystone's programs and process on one machine; `issued` are the tokens that users still have, all machines' alike."""

    def __init__(
        self,
        database: twin.Database,
        issued: list[twin.Token],
        machine: MemoryMachine,
        application: str = "keystone",
    ) -> None:
        super().__init__()
        self.api = twin.Api(database)
        self.issued = issued
        self.machine = machine
        self.application = application
        self.unit = f"{application}-api.service"
        self.front_unit = f"{application}-front.service"
        self.place = ""
        """Where its front listens."""
        self.lib = f"/var/lib/{application}"
        self.broken = ""
        """Why the process cannot do its work, if a test has it so."""
        self.emptied = 0
        """How often the caches were emptied from here."""
        self.programs = {"runuser": self._manage}
        self.sockets = {f"/run/{application}/api.sock": self._answer}

    def listen(self, address: str, others: Iterable[Keystone]) -> None:
        """Have its front reached at an address from the machines of the others, and theirs from here."""
        self.place = f"https://{address}:{PORT}"
        for one in others:
            self.machine.network[one.place] = one.answer_at_the_front
            one.machine.network[self.place] = self.answer_at_the_front

    def answer_at_the_front(self, request: Request) -> Answer:
        """Answer a request from another machine."""
        if not (self.machine.powered and self.machine.serves(self.front_unit)):
            raise ConnectionRefusedError(self.place)
        return self._answer(request)

    @property
    def serves(self) -> bool:
        """Whether the process answers."""
        return self.machine.powered and self.machine.serves(self.unit)

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

    def _answer(self, request: Request) -> Answer:
        if not self.serves:
            raise ConnectionRefusedError(self.unit)
        if request.path == "/openinfra/health" and self.machine.exists(f"{self.lib}/paused"):
            return Answer(status=503, headers={}, body="paused")
        if self.broken:
            return Answer(status=503, headers={}, body=self.broken)
        answer, token = self.api.answer(request, self.keys(), self.lifetime, self.machine.now())
        if token:
            self.issued.append(token)
        return answer

    def _manage(self, argv: tuple[str, ...], _stdin: str | None) -> Result | None:
        """Play `runuser -u USER -- PROGRAM --config-file=... COMMAND ...`, and the programs that empty the caches, convert tables and
        mark a new database."""
        assert self.config, "keystone-manage has no configuration"
        if argv[5].endswith("/forget_caches.py"):
            assert argv[6] == f"/etc/{self.application}/keystone.conf"
            self.emptied += 1
            return None
        database, command = self.api.database, argv[6]
        if argv[5].endswith("/openinfra_first.py"):
            return None
        if argv[5].endswith("/openinfra_tables.py"):
            assert database.synced, "there are no tables"
            database.characters = "utf8mb4"
            return None
        if command == "db_sync":
            database.sync()
        elif command == "credential_migrate":
            keys = self.keys("credential")
            if not set(database.credentials.values()) <= set(keys.values()):
                return Result(code=1, stdout="", stderr="Credential could not be decrypted.")
            database.credentials = dict.fromkeys(database.credentials, keys[max(keys)])
        else:
            options = dict(word.removeprefix("--bootstrap-").split("=", 1) for word in argv[7:])
            password = self.machine.env["OS_BOOTSTRAP_PASSWORD"]
            database.bootstrap(options["username"], password, options["public-url"], options["region-id"])
        return None
