"""RabbitMQ's twin as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import programs
import twin

from openinfra_charm import testing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Twin(testing.Twin):
    """One cluster on the machines of one application."""

    bears_leftovers = False
    """A node that runs on stays a member, until the `host` charm or the next unit on its machine stops it."""

    def __init__(self) -> None:
        self.brokers = twin.Brokers()
        self._passwords: set[str] = set()
        """Those that clients were seen to have: the software itself knows hashes only."""

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine RabbitMQ's programs."""
        machine.bring(programs.RabbitMq(self.brokers, machine, address))

    def violations(self) -> Iterator[str]:
        """Yield what no charm may ever do to a cluster."""
        grown = [names for names in self.brokers.clusters() if len(names) > 1]
        if len(grown) > 1:
            yield f"one cluster: there are {grown}"
        yield from self.brokers.faults
        if self.staying and (lost := self.brokers.lost()):
            yield f"acknowledged messages stay: no machine has all of {', '.join(lost)}"

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield what a cluster of so many units lacks."""
        sizes = [len(names) for names in self.brokers.clusters()]
        if sizes != [len(units)]:
            yield f"the cluster has {sizes} members, there are {len(units)} units"
        names = {f"rabbit@{unit.replace('/', '-')}" for unit in units}
        for node in self.brokers.serving(self.brokers.nodes)[:1]:
            if strangers := sorted(set(node.members()) - names):
                yield f"those that are gone are forgotten: {', '.join(strangers)} are members still"
            if "guest" in (node.load() or twin.Store([], [])).users:
                yield "nobody logs in as guest: the user is there"

    def rotations(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how the password of the first client is replaced."""
        if any(self.accepts()):
            yield f"run {units[0].partition('/')[0]}/leader rotate-password relation-id=relation:amqp"

    def accepts(self) -> Iterator[str]:
        """Yield the passwords of users of a cluster that serves."""
        for node in self.brokers.serving(self.brokers.nodes)[:1]:
            hashes = [found for found in (node.load() or twin.Store([], [])).users.values() if found]
            yield from (one for one in self._passwords if any(twin.matches(one, found) for found in hashes))

    def why_not_served(self, client: testing.Client) -> str:
        """Return why a client does not reach its virtual host where it was told to, as the user that it was given."""
        if client.endpoint != "amqp":
            return ""
        user, password = (
            client.told.get(f"secret-user.{key}") or client.told.get(key, "")
            for key in ("username", "password")
        )
        places = {data["hostname"] for data in client.providers.values() if data.get("hostname")}
        if not (user and places):
            return "it knows no user, or no broker"
        self._passwords.add(password)
        reached = [node for node in self.brokers.nodes.values() if node.serves and node.address in places]
        if not reached:
            return f"no broker serves at {', '.join(sorted(places))}"
        store = reached[0].load() or twin.Store([], [])
        if user not in store.users or not twin.matches(password, store.users[user]):
            return f"nobody lets its user {user!r} in"
        vhost = client.asks.get("vhost") or client.says.get("vhost", "")
        return "" if store.rights.get(user) == vhost in store.vhosts else f"it has no rights in {vhost!r}"

    def served(self) -> Iterator[tuple[str, str]]:
        """Yield what the brokers serve."""
        for node in self.brokers.nodes.values():
            if node.serves and node.chain:
                yield f"the broker of {node.machine.name}", node.chain

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how an operator looks at the cluster and its queues."""
        yield from super().usual(units)
        yield f"run {units[0]} list-queues"

    def equip(self, unit: str) -> Iterator[str]:
        """Yield how an operator looks at a new member."""
        yield f"run {unit} cluster-status"

    def settings(self) -> Sequence[str]:
        """Return what restarts brokers, and what does not."""
        return ("memory-limit=512M", "disk-free-limit=2G", "allow-plain-credentials=true")

    def fill(self) -> None:
        """Have clients make queues and publish."""
        for name in ("compute", "reply"):
            self.brokers.declare(name)
        for _ in range(5):
            self.brokers.publish()
