"""MariaDB's twin as rehearsals play it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import programs
import twin

from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Twin(testing.Twin):
    """One Galera cluster on the machines of one application."""

    bears_leftovers = False
    """A server that runs on stays a member, until the `host` charm or the next unit on its machine stops it."""

    def __init__(self) -> None:
        self.galera = twin.Galera()

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine MariaDB's programs."""
        machine.bring(programs.MariaDb(self.galera, machine, address))

    def violations(self) -> Iterator[str]:
        """Yield what no charm may ever do to a cluster."""
        if len(self.galera.components) > 1:
            yield f"one primary component: there are {self.galera.primaries()}"
        if lost := self.galera.lost():
            yield f"acknowledged writes stay: {len(lost)} of {len(self.galera.acknowledged)} are lost"
        deleted = self.galera.deleted()
        if self.staying and self.galera.acknowledged and not self.galera.holders():
            yield "the last copy is never deleted: no machine has what was acknowledged"
        left = len(self.galera.holders())
        if deleted and not self.galera.components and left < min(2, len(self.staying)):
            yield f"data are deleted while others serve: nobody did when {', '.join(deleted)} dropped its own"

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield what a cluster of so many units lacks."""
        sizes = [len(component) for component in self.galera.components]
        if sizes != [len(units)]:
            yield f"the cluster has {sizes} members, there are {len(units)} units"

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how each unit gets a backup."""
        for unit in units:
            yield f"run {unit} create-backup"

    def rotations(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how the password of the first client is replaced."""
        if any(self.accepts()):
            yield f"run {units[0].partition('/')[0]}/leader rotate-password relation-id=relation:database"

    def accepts(self) -> Iterator[str]:
        """Yield the passwords of all users of a cluster that serves."""
        for component in self.galera.components:
            users = self.galera.servers[min(component)].load().users
            yield from (json.loads(user)["password"] for user in users.values())

    def why_not_served(self, client: testing.Client) -> str:
        """Return why a client does not reach its database where it was told to, as the user that it was given."""
        if client.endpoint != "database":
            return ""
        told = client.told
        places = {one.rpartition(":")[0].strip("[]") for one in told.get("endpoints", "").split(",")}
        serving = [self.galera.servers[name] for component in self.galera.components for name in component]
        # What is no server's address is a gateway's, which leads to one that serves.
        behind = places - {server.address for server in self.galera.servers.values()}
        reached = [server for server in serving if behind or server.address in places]
        if not reached:
            return f"no server serves at {', '.join(sorted(places))}"
        store = reached[0].load()
        user, password = (
            told.get(f"secret-user.{key}") or told.get(key, "") for key in ("username", "password")
        )
        if user not in store.users or json.loads(store.users[user])["password"] != password:
            return f"nobody lets its user {user!r} in"
        database = told.get("database", "")
        return "" if database in store.databases else f"there is no database {database!r}"

    def settings(self) -> Sequence[str]:
        """Return what restarts servers, and what does not."""
        return ("buffer-pool-size=1G", "max-connections=200", "allow-plain-credentials=true")

    def fill(self) -> None:
        """Have clients write."""
        for _ in range(10):
            self.galera.write()
