"""A twin of memcached on one machine: a daemon that takes its options from its file when it starts, and answers.

With TLS it reads its certificate when it starts, and again when it is told to. Left out: what is cached but for the
number of items, eviction, connections, threads, handshakes, and the network: whether clients on other machines reach the
address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.machine import Result
from openinfra_charm.testing import Cryptography

if TYPE_CHECKING:
    from openinfra_charm.testing import MemoryMachine

UNIT = "memcached.service"
CONFIG = "/etc/memcached.conf"


class MemcachedSoftware(Cryptography):
    """The package's daemon on a machine with one address.

    `items` are those that clients have left with it, `certificate` is what it serves (PEM); empty without TLS.
    """

    def __init__(self, machine: MemoryMachine, address: str) -> None:
        super().__init__()
        self.machine = machine
        self.address = address
        self.items = 0
        self.certificate = ""
        self.options: dict[str, str] = {}
        self._starts = 0
        self.programs = {"/usr/lib/openinfra/memcached-ask": self._ask}

    def version_of(self, package: str) -> str | None:
        """Return the version that Debian 13 has."""
        return "1.6.38-1" if package == "memcached" else None

    @property
    def serves(self) -> bool:
        """Whether the daemon answers."""
        return self.machine.powered and self.machine.serves(UNIT)

    def can_run(self, unit: str) -> bool:
        """Return whether the daemon can listen where it is told to: on an address that the machine has."""
        able = {self.address, "127.0.0.1", "0.0.0.0"}
        options = self._configured()
        listens = options.get("-l", "127.0.0.1") in able
        return unit != UNIT or (listens and ("-Z" not in options or bool(self._read_certificate(options))))

    def services_changed(self) -> None:
        """Forget everything when the daemon has been started anew."""
        if self.machine.starts.get(UNIT, 0) != self._starts:
            self._starts = self.machine.starts[UNIT]
            self.items, self.options = 0, self._configured()
            self.certificate = self._read_certificate(self.options)

    def _read_certificate(self, options: dict[str, str]) -> str:
        """Return the chain that the options name; empty without TLS, or where its key is not there."""
        pairs = (option.partition("=") for option in options.get("-o", "").split(","))
        named = {name: path for name, _, path in pairs}
        key = self.machine.read(named.get("ssl_key", ""))
        return (self.machine.read(named["ssl_chain_cert"]) or "") if key else ""

    def _configured(self) -> dict[str, str]:
        lines = (self.machine.read(CONFIG) or "").splitlines()
        pairs = (line.partition(" ") for line in lines if line.startswith("-"))
        return {key: value for key, _, value in pairs}

    def _ask(self, argv: tuple[str, ...], _stdin: str | None) -> Result:
        if not self.serves:
            return Result(
                code=1, stdout="memcached does not answer: [Errno 111] Connection refused\n", stderr=""
            )
        match argv[1]:
            case "version":
                answer = "VERSION 1.6.38\n"
            case "stats":
                limit = int(self.options["-m"]) << 20
                answer = (
                    f"STAT version 1.6.38\nSTAT curr_items {self.items}\nSTAT bytes {self.items * 100}\n"
                    f"STAT limit_maxbytes {limit}\nSTAT curr_connections 2\nSTAT get_hits 3\nSTAT get_misses 1\nEND\n"
                )
            case "flush_all":
                self.items, answer = 0, "OK\n"
            case "refresh_certs" if "-Z" in self.options:
                self.certificate, answer = self._read_certificate(self.options), "OK\n"
            case _:
                return Result(code=1, stdout="ERROR\n", stderr="")
        return Result(code=0, stdout=answer, stderr="")
