"""The twin of OVN's databases as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs
import twin

from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PORTS = {"ovsdb": {"nb": "6641", "sb": "6642"}, "ovsdb-cms": {"nb": "6641", "sb": "16642"}}


class Twin(testing.Twin):
    """The two clusters of one application."""

    bears_leftovers = False
    """A server that runs on keeps the machine's place, and is asked for its vote until it is removed."""

    def __init__(self) -> None:
        self.ovn = twin.Ovn()
        self._had: dict[str, set[str]] = {key: set() for key in twin.KEYS}

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine OVN's programs."""
        machine.bring(programs.OvnSoftware(self.ovn, machine, address))

    def violations(self) -> Iterator[str]:
        """Yield what no charm may ever do to the databases."""
        for key in twin.KEYS:
            serving = [cluster for cluster in self.ovn.clusters(key) if self.ovn.has_quorum(cluster)]
            if len(serving) > 1:
                yield f"one cluster for each database: of {key} there are {serving}"
            if lost := self.ovn.lost(key):
                yield f"acknowledged writes stay: {len(lost)} of {key} are lost"
            if self.staying and self.ovn.acknowledged[key] and not self._copies(key):
                yield f"the last copy is never deleted: no machine has the database {key}"
            yield from self._given_up(key)

    def _copies(self, key: str) -> list[str]:
        """Return the machines that have all that was acknowledged."""
        wanted = set(self.ovn.acknowledged[key])
        stores = [(one.machine.name, one.store) for one in self.ovn.servers if one.key == key]
        return [name for name, store in stores if store and wanted <= set(store.writes)]

    def _given_up(self, key: str) -> Iterator[str]:
        """Yield which members' files were deleted on machines that run, though a quorum needs them."""
        stores = {one.machine.name: one.store for one in self.ovn.servers if one.key == key}
        running = {one.machine.name for one in self.ovn.servers if one.machine.powered}
        have = {name for name, store in stores.items() if store and not store.left}
        deleted, self._had[key] = (self._had[key] - have) & running, have
        for cluster, config in self.ovn.configs.items():
            files = [store.server for store in stores.values() if store and store.cluster == cluster]
            left = len(set(files) & config.keys())
            if deleted and files and 2 * left <= len(config):
                yield f"a quorum of {key} is never given up: {', '.join(sorted(deleted))} deleted its file, {left} of {len(config)} are left"

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield what the clusters of so many units lack."""
        wanted = max((size for size in (1, 3, 5) if size <= len(units)), default=0)
        for key in twin.KEYS:
            serving = [cluster for cluster in self.ovn.clusters(key) if self.ovn.has_quorum(cluster)]
            for cluster in serving:
                there, config = self.ovn.present(cluster), self.ovn.configs[cluster]
                if len(there) != len(config):
                    yield f"the cluster of {key} has {len(config)} members, of which {len(there)} run"
                if len(config) < wanted:
                    yield f"the cluster of {key} has {len(config)} members, there are {len(units)} units"
            if not serving:
                yield f"the database {key} has no quorum"
        for server in self.ovn.servers:
            if server.runs and programs.UMBRELLA not in server.machine.enabled:
                yield f"nothing starts the database {server.key} of {server.machine.name} with its machine"
        if self.ovn.lock is None:
            yield "no northd is active"

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how an operator looks at the clusters, and backs them up."""
        yield f"run {units[0]} cluster-status"
        yield f"run {units[0]} backup"

    def settings(self) -> Sequence[str]:
        """Return what is changed while all run on."""
        return (
            "ovsdb-server-election-timer=16", "ovsdb-server-inactivity-probe=120", "northd-inactivity-probe=10",
        )  # fmt: skip

    def served(self) -> Iterator[tuple[str, str]]:
        """Yield what the servers present."""
        for server in self.ovn.servers:
            if server.runs:
                yield f"the database {server.key} of {server.machine.name}", server.tls.chain

    def why_not_served(self, client: testing.Client) -> str:
        """Return why a client reaches no leader of a database where it was told to."""
        if client.endpoint not in PORTS:
            return ""
        told = {host for data in client.providers.values() if (host := data.get("bound-address"))}
        for key, port in PORTS[client.endpoint].items():
            leaders = [leader for cluster in self.ovn.clusters(key) if (leader := self.ovn.leader(cluster))]
            if not leaders:
                return f"the database {key} has no leader"
            if not any(f"pssl:{port}:{host}" in leader.listens for leader in leaders for host in told):
                return f"the leader of {key} does not listen at port {port} of {', '.join(sorted(told)) or 'any server'}"
        return ""

    def fill(self) -> None:
        """Have clients write."""
        for _ in range(10):
            self.ovn.write()
