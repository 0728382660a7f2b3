"""What software twins are made of: programs on one machine, and what an application manages over all of its machines."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.daemon import tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from openinfra_charm.machine import Answer, Result
    from openinfra_charm.testing.machine import MemoryMachine


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """An HTTP request as the twin of a server sees it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


class Software:
    """The twin of a program on one machine: what it answers and how its services behave. Nothing has to be told."""

    programs: Mapping[str, Callable[[tuple[str, ...], str | None], Result | str | None]]
    """What runs when a program of that name or path is run."""
    libraries: Mapping[str, Any]
    """Python modules that a package brings."""
    sockets: Mapping[str, Callable[[Request], Answer]]
    """Who answers HTTP requests on a unix socket; it raises OSError while nobody listens."""
    streams: Mapping[str, Callable[[bytes], bytes]]
    """Who answers on a unix socket in another way; it raises OSError while nobody listens."""

    def __init__(self) -> None:
        self.programs = {}
        self.libraries = {}
        self.sockets = {}
        self.streams = {}

    def version_of(self, package: str) -> str | None:
        """Return the version in which a package of this software is installed."""
        del package

    def program_of(self, unit: str) -> str:
        """Return which program a service would run that starts now: another word for each version of its package."""
        del unit
        return ""

    def can_run(self, unit: str) -> bool:
        """Return whether a service that is started keeps running."""
        del unit
        return True

    def services_changed(self) -> None:
        """Notice that services have started or ended."""

    def reloaded(self, unit: str) -> None:
        """Notice that a service reads its configuration again."""
        del unit

    def started(self) -> None:
        """Make what a start of the machine brings, such as files under /proc."""

    def time_passed(self) -> None:
        """Notice that time has passed."""


class Writers:
    """Clients that write to a software all the time, as far as a twin has to know: once a minute, and after each change."""

    PAUSE = 60.0

    def __init__(self) -> None:
        self._next = 0.0
        self._seen: object = None

    def due(self, now: float, state: object) -> bool:
        """Return whether they write now; `state` is what tells one state of the software from another, such as who serves."""
        if now < self._next and state == self._seen:
            return False
        self._next, self._seen = now + self.PAUSE, state
        return True


class Cryptography(Software):
    """python3-cryptography, which is no twin but the library itself: it changes nothing but what it returns."""

    def __init__(self, *modules: str) -> None:
        """Bring what `openinfra_charm.daemon.tls` needs of it, and more modules by their full names."""
        super().__init__()
        self.libraries = {name: importlib.import_module(name) for name in (*tls.LIBRARIES, *modules)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """A unit that uses an application over a relation, and what both sides have said there.

    Attributes:
        unit: Its name.
        endpoint: The provider's.
        asks: What its application has said.
        says: What the unit has said.
        told: What the provider has said. The content of a secret whose id is under `key` is under `key.field`, of the
            revision that the unit follows; nothing of one that it may not read.
        providers: What each of the provider's units has said.
    """

    unit: str
    endpoint: str
    asks: Mapping[str, str]
    says: Mapping[str, str]
    told: Mapping[str, str]
    providers: Mapping[str, Mapping[str, str]]


class Twin:
    """The twin of what an application manages, over all of its machines: one for each application of a rehearsal.

    A charm's twin is the class `Twin` in `tests/twins/rehearsal.py` beside it.
    """

    def join(self, machine: MemoryMachine, address: str) -> None:
        """Take a machine in, on which a unit of the application runs now."""
        raise NotImplementedError

    def violations(self) -> Iterator[str]:
        """Yield what must never be so and is, a sentence each; called after every step."""
        return iter(())

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield what must be so and is not when all these units are active, a sentence each."""
        del units
        return iter(())

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield what an operator does once all units are active, in the words of the command line."""
        for unit in units:
            yield from self.equip(unit)

    def equip(self, unit: str) -> Iterator[str]:
        """Yield what an operator does with every new unit, in the words of the command line."""
        del unit
        return iter(())

    def asked(self, command: str, machines: Sequence[MemoryMachine]) -> None:
        """Note what an operator asks for of units of the application, in the words of the command line, and on which machines they are."""

    def spare_disks(self) -> Iterator[tuple[MemoryMachine, str]]:
        """Yield the disks any one of which may die without the loss of anything: the machine, and where the disk is."""
        return iter(())

    def swapped(self, unit: str, machine: MemoryMachine, path: str) -> Iterator[str]:
        """Yield what an operator does with a unit on whose machine a dead disk was swapped for an empty one."""
        del unit, machine, path
        return iter(())

    def meanwhile(self, unit: str) -> Iterator[str]:
        """Yield what an operator may do with a unit at any moment, whatever else goes on, in the words of the command line."""
        del unit
        return iter(())

    def settings(self) -> Sequence[str]:
        """Return values that an operator may set in operation, as `option=value`."""
        return ()

    def rotations(self, units: Sequence[str]) -> Iterator[str]:
        """Yield what replaces credentials or certificates, in the words of the command line, each good at any time."""
        del units
        return iter(())

    def accepts(self) -> Iterator[str]:
        """Yield the passwords with which the software lets somebody in now."""
        return iter(())

    def why_not_served(self, client: Client) -> str:
        """Return why a client is not served now, with all that it knows from its relation; empty if it is."""
        del client
        return ""

    def users(self) -> Iterator[tuple[str, str]]:
        """Yield who uses the software over no relation, and why he is not served now; empty if he is.

        Who is not named any more is not served.
        """
        return iter(())

    bears_leftovers: bool = True
    """Whether all others go on as if a unit were not there that was given up by force, while what it has started runs on."""

    staying: Sequence[str] = ()
    """The application's units that are not on their way out; a rehearsal keeps it current."""

    reveals: frozenset[str] = frozenset()
    """The charm's actions that exist to give an operator a credential."""

    def served(self) -> Iterator[tuple[str, str]]:
        """Yield the certificates that daemons serve now: who does, and the certificate with those above it (PEM)."""
        return iter(())

    def fill(self) -> None:
        """Have clients of the software leave data with it, after `usual`."""
