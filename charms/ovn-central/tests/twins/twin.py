"""A software twin of OVN's databases: which servers form which raft clusters, and what is in them.

Played: files of servers that found a cluster, join one or have left it; who is in a cluster by what it has committed; quorum by
majority of that; joining by any member's address while there is a quorum; removal by id, which a server that runs hears of and
one that is down never does; what was written and acknowledged; certificates that are really verified, and that a server reads again
only when the file of its key is another one; where servers listen, which they read at a start and a reload; the lock of the active
northd.

Left out: terms, elections and how long they take (there is a leader as soon as there is a quorum), the network between
machines, snapshots, what clients write and what northd makes of it, the schema but for its version, rights of clients.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from openinfra_charm.testing import Writers

if TYPE_CHECKING:
    from programs import OvsdbServer

KEYS = ("nb", "sb")


@dataclass
class Store:
    """What is in one server's file."""

    cluster: str
    server: str
    address: str
    remotes: list[str] = field(default_factory=list)
    joined: bool = False
    left: bool = False
    writes: list[int] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str | None) -> Store | None:
        """Return what is in a file; None where it is none of a cluster's."""
        return cls(**json.loads(text)) if text and text.startswith('{"cluster"') else None

    def __str__(self) -> str:
        return json.dumps(asdict(self))


class Ovn:
    """The clusters of one application's machines, by id, and the servers that run.

    `configs` has who is in each cluster, by the id of the server, and at which address; `acknowledged` are the writes that clients
    of a database were told are done. `given_up` is set by an operator who begins anew on purpose.
    """

    def __init__(self) -> None:
        self.servers: list[OvsdbServer] = []
        self.configs: dict[str, dict[str, str]] = {}
        self.timers: dict[str, int] = {}
        self.acknowledged: dict[str, list[int]] = {key: [] for key in KEYS}
        self.schemas: dict[str, str] = {}
        """Of which version of OVN each database's schema is."""
        self.options: dict[str, str] = {}
        self.faults: list[str] = []
        self.northds: list[object] = []
        self.lock: object = None
        self._numbers = itertools.count(1)
        self._writers = Writers()

    def new_id(self) -> str:
        """Return an id that nobody has had."""
        # The beginning tells servers apart, as that of a random one does.
        return f"{next(self._numbers):04x}{'0' * 4}-0000-4000-8000-000000000000"

    def found(self, store: Store, timer: int) -> None:
        """Have a new cluster of one member."""
        self.configs[store.cluster] = {store.server: store.address}
        self.timers[store.cluster] = timer

    # Who is with whom

    def running(self, cluster: str) -> list[OvsdbServer]:
        """Return the servers of a cluster that run, joined or not, in the order of their machines."""
        return [one for one in self.servers if one.runs and (store := one.store) and store.cluster == cluster]

    def present(self, cluster: str) -> list[OvsdbServer]:
        """Return the members of a cluster that run and that let each other in: without the one that fewest do, until all do."""
        found = [
            one for one in self.running(cluster) if one.store and one.store.server in self.configs[cluster]
        ]
        while found:
            alone = min(found, key=lambda one: sum(map(one.talks_to, found)))
            if all(map(alone.talks_to, found)):
                break
            found.remove(alone)
        return found

    def has_quorum(self, cluster: str) -> bool:
        """Return whether a majority of a cluster's members runs."""
        return 2 * len(self.present(cluster)) > len(self.configs.get(cluster, {})) > 0

    def leader(self, cluster: str) -> OvsdbServer | None:
        """Return the member that leads: the first of those that run, if they are a quorum."""
        return self.present(cluster)[0] if self.has_quorum(cluster) else None

    def tick(self) -> None:
        """Let servers join whose files say so."""
        for server in self.servers:
            store = server.store
            if not server.runs or store is None or store.joined or not self.has_quorum(store.cluster):
                continue
            members = self.present(store.cluster)
            if any(
                member.store and member.store.address in store.remotes and member.talks_to(server)
                for member in members
            ):
                self.configs[store.cluster][store.server] = store.address
                # The one that leads has all that was acknowledged, whoever has missed some of it.
                stores = [one for member in members if (one := member.store)]
                store.joined, store.writes = True, list(max(stores, key=lambda one: len(one.writes)).writes)
                server.save(store)
        for cluster in self.configs:
            self._even_out(cluster)
        if not getattr(self.lock, "is_connected", False):
            self.lock = next((one for one in self.northds if getattr(one, "is_connected", False)), None)

    def _even_out(self, cluster: str) -> None:
        """Give the members of a quorum what they missed: one of them was in the last quorum, and has all that was acknowledged."""
        stores = [(one, store) for one in self.present(cluster) if (store := one.store)]
        if not self.has_quorum(cluster) or len({len(store.writes) for _, store in stores}) < 2:
            return
        _, newest = max(stores, key=lambda pair: len(pair[1].writes))
        for one, store in stores:
            if store.writes != newest.writes:
                store.writes = list(newest.writes)
                one.save(store)

    def remove(self, cluster: str, server: str) -> bool:
        """Have a quorum remove a member; return whether there is one. A server that runs closes its database."""
        if not self.has_quorum(cluster):
            return False
        there = [one for one in self.running(cluster) if one.store and one.store.server == server]
        del self.configs[cluster][server]
        for one in there:
            store = one.store
            if store:
                store.left = True
                one.save(store)
        return True

    def time_passed(self, now: float) -> None:
        """Have clients write when they do."""
        state = {cluster: [one.machine.name for one in self.present(cluster)] for cluster in self.configs}
        if self._writers.due(now, state):
            self.write()

    def write(self) -> None:
        """Have clients write to each database that takes it."""
        for key in KEYS:
            for cluster in self.clusters(key):
                if not self.has_quorum(cluster):
                    continue
                number = next(self._numbers)
                for one in self.present(cluster):
                    store = one.store
                    if store:
                        store.writes.append(number)
                        one.save(store)
                self.acknowledged[key].append(number)

    def clusters(self, key: str) -> list[str]:
        """Return the clusters of a database of which a server runs."""
        found = (one.store.cluster for one in self.servers if one.key == key and one.runs and one.store)
        return list(dict.fromkeys(found))

    # What must not be

    def lost(self, key: str) -> list[int]:
        """Return the acknowledged writes that no member of a quorum has: who was away gets them from the others."""
        kept = [
            {number for one in self.present(cluster) if (store := one.store) for number in store.writes}
            for cluster in self.clusters(key)
            if self.has_quorum(cluster)
        ]
        return [number for number in self.acknowledged[key] if any(number not in writes for writes in kept)]
