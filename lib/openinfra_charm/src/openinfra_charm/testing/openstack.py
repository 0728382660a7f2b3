"""What the twins of OpenStack APIs have in common: the processes of one unit, the programs of its release tree, and its front.

A charm's twin is an `Api` that knows what its own programs do (`ran`) and what its process answers (`answer`), and in
`tests/twins/rehearsal.py` a `Twin` of such. Left out: the databases themselves (they are always there), and Keystone, which takes every token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm import testing
from openinfra_charm.machine import Answer, Result
from openinfra_charm.openstack.api import HEALTH
from openinfra_charm.testing.packaging import Packaging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from openinfra_charm.testing import MemoryMachine, Request

_OK, _UNAVAILABLE = 200, 503
OURS = {"forget_caches.py", "openinfra_tables.py", "openinfra_ask.py"}
"""Programs that are no service's own; their first argument is the configuration."""
HALF = "half of a first migration"


class Api(testing.Software):
    """One unit's API on its machine, with the programs of its release tree.

    `done` is what programs have done, in words, to what all units share. If a test has it so, `broken` is why the process cannot do its
    work, `refused` what programs say that change what is in the database and fail, and with `loses_database` the connection is lost in
    the middle of a migration, which leaves tables that are in the way of the next one (`HALF`). `emptied` is how often the caches were
    emptied from here.

    Args:
        machine: The machine.
        application: The application.
        port: Where its front listens.
        done: What all units' programs have done so far.
    """

    def __init__(self, machine: MemoryMachine, application: str, *, port: int, done: list[str]) -> None:
        super().__init__()
        self.machine = machine
        self.application = application
        self.port = port
        self.done = done
        self.broken = ""
        self.refused = ""
        self.loses_database = False
        self.emptied = 0
        self.place = ""
        """Where the front is reached from other machines."""
        self.unit, self.front_unit = f"{application}-api.service", f"{application}-front.service"
        self._others = machine.handlers.get("runuser")
        """Who plays the programs of other services of the machine."""
        self.programs = {"runuser": self._run}
        self.sockets = {f"/run/{application}/api.sock": self._answer}

    # What the charm's own twin says

    def answer(self, request: Request) -> Answer:
        """Answer a request; the process runs, and nothing is the matter with it."""
        del request
        return Answer(status=_OK, headers={}, body="healthy")

    def ran(self, program: str, *arguments: str) -> Result | None:
        """Do what a program of the release does."""
        self.done.append(" ".join([program, *arguments]))

    def converted(self, section: str) -> None:
        """Convert the tables of the database that a section of the configuration leads to."""
        self.done.append(f"tables of {section}")

    # What all have

    def listen(self, address: str, others: Iterable[Api]) -> None:
        """Have the front reached at an address from the machines of the others, and theirs from here."""
        self.place = f"https://{address}:{self.port}"
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

    def _answer(self, request: Request) -> Answer:
        if not self.serves:
            raise ConnectionRefusedError(self.unit)
        if request.path == HEALTH and self.machine.exists(f"/var/lib/{self.application}/paused"):
            return Answer(status=_UNAVAILABLE, headers={}, body="paused")
        if self.broken:
            return Answer(status=_UNAVAILABLE, headers={}, body=self.broken)
        return self.answer(request)

    def _run(self, argv: tuple[str, ...], stdin: str | None) -> Result | str | None:
        """Play `runuser -u USER -- PROGRAM ARGUMENT ...`, where Python's first argument is the program."""
        if self._others and not argv[4].startswith(f"/opt/{self.application}/"):
            return self._others(argv, stdin)
        return self._run_own(argv)

    def _run_own(self, argv: tuple[str, ...]) -> Result | None:
        program, *arguments = argv[4:]
        if program.endswith("/bin/python"):
            program, *arguments = arguments
            if not self.machine.exists(program):
                return Result(
                    code=2, stdout="", stderr=f"can't open file '{program}': No such file or directory"
                )
        name = program.rpartition("/")[2]
        if name in OURS and not self.machine.read(arguments[0]):
            return Result(code=1, stdout="", stderr=f"{name} has no configuration")
        if name == "openinfra_ask.py":
            return self._ask(*arguments[1:])
        if self.refused:
            return Result(code=1, stdout="", stderr=self.refused)
        if name == "forget_caches.py":
            self.emptied += 1
        elif name == "openinfra_tables.py":
            self._see_to_tables(*arguments[1:])
        else:
            return self._migrate(name, *arguments)
        return None

    def _see_to_tables(self, section: str, verb: str) -> None:
        """Play that the tables of a first migration are removed which was interrupted, and that all are converted."""
        if verb == "end":
            self.converted(section)
        elif HALF in self.done:
            self.done.remove(HALF)

    def _migrate(self, program: str, *arguments: str) -> Result | None:
        """Run a program of the release, which changes the database."""
        if HALF in self.done:
            return Result(
                code=1, stdout="", stderr="OperationalError: (1050, \"Table 'one' already exists\")"
            )
        if self.loses_database:
            self.done.append(HALF)
            return Result(
                code=1, stdout="", stderr="OperationalError: (2013, 'Lost connection to MySQL server')"
            )
        return self.ran(program, *arguments)

    def _ask(self, socket: str, path: str) -> Result | None:
        """Play a request with a token of the service's own user, which Keystone always gives."""
        request = testing.Request(method="GET", path=path, headers={"X-Auth-Token": "token"}, body="")
        try:
            answer = self.machine.sockets[socket](request)
        except OSError as error:
            return Result(code=1, stdout="", stderr=f"{path} is not answered: {error}")
        if answer.status == _OK:
            return None
        return Result(
            code=1, stdout="", stderr=f"{path} is answered {answer.status} to a token of its own user"
        )


class Twin(testing.Twin):
    """One OpenStack API on the machines of one application, whose units share what is in its database.

    `make` makes the twin of a unit's software, of its machine and what all units' programs have done; `first` is what these do
    before any process serves; `processes` are those beside the API.
    """

    def __init__(
        self, make: Callable[[MemoryMachine, list[str]], Api], *, first: str, processes: Iterable[str] = ()
    ) -> None:
        self._make = make
        self._first = first
        self._processes = ("api", "front", *processes)
        self.done: list[str] = []
        self.nodes: list[Api] = []

    def join(self, machine: MemoryMachine, address: str) -> None:
        """Give a machine Python's packaging, the library for certificates, and the service."""
        node = self._make(machine, self.done)
        node.listen(address, self.nodes)
        self.nodes.append(node)
        for software in (Packaging(machine), testing.Cryptography(), node):
            machine.bring(software)

    def violations(self) -> Iterator[str]:
        """Yield which process serves without a schema."""
        for node in self.nodes:
            if node.serves and self._first not in self.done:
                yield f"it serves with a schema only: {node.machine.name} has none"

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield which processes do not run everywhere."""
        for name in self._processes:
            running = sum(
                node.machine.powered and node.machine.serves(f"{node.application}-{name}.service")
                for node in self.nodes
            )
            if running < len(units):
                yield f"{name} runs on {running} machines, there are {len(units)} units"
