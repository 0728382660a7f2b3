"""What tests and rehearsals put in the place of a machine and its software. No archive of a charm has it."""

from __future__ import annotations

from openinfra_charm.testing.disk import Disk
from openinfra_charm.testing.machine import (
    VOLATILE,
    Clock,
    Fuse,
    Killed,
    MemoryMachine,
    Node,
    OutOfPatienceError,
    StillWaiting,
)
from openinfra_charm.testing.twin import Client, Cryptography, Request, Software, Twin, Writers

__all__ = [
    "VOLATILE", "Client", "Clock", "Cryptography", "Disk", "Fuse", "Killed", "MemoryMachine", "Node",
    "OutOfPatienceError", "Request", "Software", "StillWaiting", "Twin", "Writers",
]  # fmt: skip
