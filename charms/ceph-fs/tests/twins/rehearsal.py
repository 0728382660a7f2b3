"""The metadata server's twin as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs

from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Twin(testing.Twin):
    """The metadata servers of one application, and the file system that they serve."""

    def __init__(self) -> None:
        self.filesystem = programs.Filesystem()

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine the server's programs."""
        machine.bring(programs.MdsSoftware(self.filesystem, machine, address))

    def violations(self) -> Iterator[str]:
        """Yield what no charm may ever do to a file system."""
        for name, volume in self.filesystem.volumes.items():
            if not volume.isolated:
                yield f"keys to other volumes do not open this one: {name} has no namespace of its own"

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield what servers of so many units lack."""
        if len(self.filesystem.states()) < len(units):
            yield f"{len(self.filesystem.states())} metadata servers run, there are {len(units)} units"
        for server in self.filesystem.servers:
            if server.serves and server.options != server.configured():
                yield f"the metadata server of {server.machine.name} runs with an older configuration"

    def users(self) -> Iterator[tuple[str, str]]:
        """Yield who mounts which volume, and why that does not work."""
        active = "up:active" in self.filesystem.states().values()
        for name, volume in self.filesystem.volumes.items():
            for user in volume.users:
                why = "" if active else "no metadata server is active"
                yield f"{user} with {name}", why if user in self.filesystem.keys else "there is no key of it"

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how an operator makes a volume and a key to it."""
        yield from super().usual(units)
        yield f"run {units[0]} create-volume name=home size=10G"
        yield f"run {units[0]} authorize volume=home client=web"
        yield f"run {units[0]} list-volumes"

    def equip(self, unit: str) -> Iterator[str]:
        """Yield how an operator looks at a new server."""
        yield f"run {unit} get-status"

    def settings(self) -> Sequence[str]:
        """Return what restarts servers, and what does not."""
        return ("mds-cache-memory-limit=1G", "max-mds=2", "standby-replay=true")

    def fill(self) -> None:
        """Have clients leave files."""
        for volume in self.filesystem.volumes.values():
            volume.used = 100 << 20
