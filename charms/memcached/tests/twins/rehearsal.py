"""memcached's twin as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs

from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Twin(testing.Twin):
    """The caches of one application; they know nothing of each other."""

    def __init__(self) -> None:
        self.caches: list[programs.MemcachedSoftware] = []

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine its memcached."""
        cache = programs.MemcachedSoftware(machine, address)
        self.caches.append(cache)
        machine.bring(cache)

    def violations(self) -> Iterator[str]:
        """Yield which daemons everybody reaches, or nobody."""
        for cache in self.caches:
            listens = cache.options.get("-l", "127.0.0.1")
            if cache.serves and listens != cache.address:
                yield f"a cache listens on its unit's address {cache.address} only: that of {cache.machine.name} on {listens}"

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how many caches are missing from the ring."""
        serving = sum(cache.serves for cache in self.caches)
        if serving < len(units):
            yield f"{serving} caches answer, there are {len(units)} units"

    def served(self) -> Iterator[tuple[str, str]]:
        """Yield what the caches with TLS serve."""
        for cache in self.caches:
            if cache.serves and cache.certificate:
                yield f"the cache of {cache.machine.name}", cache.certificate

    def why_not_served(self, client: testing.Client) -> str:
        """Return which caches a client has in its ring that do not answer."""
        if client.endpoint != "cache":
            return ""
        told = {data["host"] for data in client.providers.values() if data.get("host")}
        silent = told - {cache.address for cache in self.caches if cache.serves}
        if told and not silent:
            return ""
        return f"no cache answers at {', '.join(sorted(silent))}" if silent else "it knows no cache"

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how an operator looks at each cache, and empties one."""
        yield from super().usual(units)
        yield f"run {units[0]} flush-all confirm=true"

    def equip(self, unit: str) -> Iterator[str]:
        """Yield how an operator looks at a new cache."""
        yield f"run {unit} stats"

    def settings(self) -> Sequence[str]:
        """Return what restarts the daemons."""
        return ("memory-limit=256", "connection-limit=2048", "idle-timeout=60", "threads=2")

    def fill(self) -> None:
        """Have clients leave items."""
        for cache in self.caches:
            cache.items += 10
