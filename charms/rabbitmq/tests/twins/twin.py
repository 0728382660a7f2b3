"""A software twin of a RabbitMQ cluster with Mnesia: who forms it from what, who serves, and where messages are.

Played: a node without data that is a cluster of its own; joining one (with what that refuses: a node that the cluster still knows, one that
is not empty in its eyes); what each node has last seen run, and for whom it waits after a loss; `force_boot`; the smaller side that
pauses itself; forgetting a node, and its members of queues; quorum queues, whose members come back on new nodes by themselves and which
take messages as long as most of their members run; users, virtual hosts and their rights; feature flags; who lets whom in by TLS, with
certificates that are really verified and that expire.

Left out: the network between machines (every node reaches all others whose address it knows), partitions that are not the end of a node, exchanges,
bindings and consumers, classic queues and streams, how long things take, and messages that a client has not been told are safe.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openinfra_charm.testing import Writers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from programs import RabbitMq

COPIES = 3


@dataclass
class Store:
    """What is on a node's disk: the cluster's metadata as of `number`, whom it has last seen run, and the messages of its queues.

    `queues` maps a queue to the nodes on which it has members, `messages` one that has a member here to its messages.
    """

    members: list[str]
    seen: list[str]
    number: int = 0
    users: dict[str, str] = field(default_factory=dict)
    vhosts: list[str] = field(default_factory=list)
    rights: dict[str, str] = field(default_factory=dict)
    queues: dict[str, list[str]] = field(default_factory=dict)
    messages: dict[str, list[int]] = field(default_factory=dict)
    draining: list[str] = field(default_factory=list)

    def copy(self) -> Store:
        """Return a store with the same metadata."""
        return Store(**json.loads(json.dumps(vars(self))))


class RefusalError(Exception):
    """What a node refuses, in its words."""


class Brokers:
    """The nodes of one application's machines, by name, and the cluster that they are.

    `acknowledged` are the messages that clients were told are safe, by queue; `faults` what nodes have stumbled over.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, RabbitMq] = {}
        self.acknowledged: dict[str, list[int]] = {}
        self.given_up: set[str] = set()
        self.founded: list[str] = []
        self.faults: list[str] = []
        self._numbers = itertools.count(1)
        self._writers = Writers()

    # Nodes come and go

    def started(self, node: RabbitMq) -> None:
        """Have a node's broker start: with its data it looks for the others, without it is a cluster of its own."""
        store = node.load()
        if store is None:
            self.founded.append(node.name)
            node.save(Store(members=[node.name], seen=[node.name], users={"guest": ""}, vhosts=["/"]))
            node.serves = True
        self.tick()

    def stopped(self, node: RabbitMq) -> None:
        """Take a node out: all others that serve have seen it go, and the smaller part pauses itself."""
        was_serving, node.serves = node.serves, False
        if not was_serving or (store := node.load()) is None:
            return
        left = self.serving(store.members)
        for other in left:
            if known := other.load():
                known.seen = [name for name in known.seen if name != node.name]
                other.save(known)
        if 2 * len(left) <= len(store.members):
            for other in left:
                other.serves = False
                other.pauses = True

    def tick(self) -> None:
        """Let nodes find each other."""
        for node in self.nodes.values():
            if node.pauses and 2 * sum(self.runs(name) for name in node.members()) > len(node.members()):
                node.pauses = False
        for _ in self.nodes:
            if not any(self._start(node) for node in self._waiting()):
                break
        for node in self.nodes.values():
            if node.serves:
                self._reconcile(node)

    def _waiting(self) -> list[RabbitMq]:
        return [
            one for one in self.nodes.values() if one.runs and one.app and not one.serves and not one.pauses
        ]

    def _start(self, node: RabbitMq) -> bool:
        """Have a waiting node serve if it can; return whether it does now."""
        store = node.load()
        if store is None:
            return False
        for other in self.serving(store.members):
            theirs = other.load()
            if other is node or theirs is None or not node.talks_to(other):
                continue
            if node.name not in theirs.members:
                self.fault(
                    f"{node.name}: thinks it's clustered with {other.name}, but {other.name} disagrees"
                )
                return False
            self._follow(node, other)
            return True
        if node.take_force():
            store.seen = [node.name]
            node.save(store)
        group = self._group(node)
        if group is None:
            return False
        newest = max(group, key=lambda one: (one.number(), one.name))
        for one in [newest, *(one for one in group if one is not newest)]:
            if one is newest:
                one.serves = True
                known = one.load()
                assert known
                known.seen = [one.name]
                one.save(known)
            else:
                self._follow(one, newest)
        return True

    def _group(self, node: RabbitMq) -> list[RabbitMq] | None:
        """Return the nodes that start together with this one: all that one of them waits for; None where one is missing."""
        group, waiting = {node.name}, {one.name: one for one in self._waiting()}
        while True:
            wanted = {name for one in group for name in (waiting[one].load() or Store([], [])).seen}
            if not wanted <= waiting.keys():
                return None
            if wanted <= group:
                names = sorted(group)
                talks = all(
                    waiting[one].talks_to(waiting[other]) for one in names for other in names if one != other
                )
                return [waiting[name] for name in names] if talks else None
            group |= wanted

    def _follow(self, node: RabbitMq, other: RabbitMq) -> None:
        """Have a node take the metadata of one that serves, and serve."""
        mine, theirs = node.load(), other.load()
        assert theirs
        theirs.messages = mine.messages if mine else {}
        theirs.messages = {
            queue: found
            for queue, found in theirs.messages.items()
            if node.name in theirs.queues.get(queue, [])
        }
        node.save(theirs)
        node.serves = True
        names = [one.name for one in self.serving(theirs.members)]
        for one in self.serving(theirs.members):
            known = one.load()
            assert known
            known.seen, known.draining = names, [name for name in known.draining if name != node.name]
            one.save(known)

    def serving(self, members: Iterable[str]) -> list[RabbitMq]:
        """Return those of some nodes that serve."""
        return [one for name in sorted(members) if (one := self.nodes.get(name)) and one.serves]

    def runs(self, name: str) -> bool:
        """Return whether a node's Erlang machine runs."""
        return name in self.nodes and self.nodes[name].runs

    def fault(self, words: str) -> None:
        """Note what a node has stumbled over."""
        if words not in self.faults:
            self.faults.append(words)

    # What is changed on all nodes that serve

    def change(self, node: RabbitMq, change: Any) -> None:
        """Change the cluster's metadata."""
        store = node.load()
        assert store
        number = next(self._numbers)
        for one in self.serving(store.members):
            known = one.load()
            if known is None or node.name not in known.members:
                continue
            change(known)
            known.number = number
            one.save(known)

    def join(self, node: RabbitMq, target: str) -> None:
        """Have a node whose broker is stopped join the cluster of another one.

        Raises:
            RefusalError: It cannot.
        """
        other = self.nodes.get(target)
        theirs = other.load() if other and other.serves else None
        if other is None or theirs is None or not node.talks_to(other):
            raise RefusalError(
                f'{{:cannot_discover_cluster, ~c"none of the nodes {target} could be reached"}}'
            )
        mine = node.load()
        if node.name in theirs.members:
            if mine and target in mine.members:
                return
            raise RefusalError(
                f'{{:inconsistent_cluster, ~c"Node {target} thinks it\'s clustered with node {node.name}, but {node.name} disagrees"}}'
            )
        if mine and len(mine.members) > 1:
            raise RefusalError("{:already_clustered}")
        number = next(self._numbers)
        members = [*theirs.members, node.name]
        for one in self.serving(theirs.members):
            known = one.load()
            assert known
            known.members, known.number = members, number
            one.save(known)
        joined = theirs.copy()
        joined.members, joined.number, joined.messages = members, number, {}
        node.save(joined)

    def forget(self, node: RabbitMq, target: str) -> None:
        """Have the cluster forget a node.

        Raises:
            RefusalError: It runs, or is unknown.
        """
        store = node.load()
        assert store
        if target not in store.members:
            raise RefusalError('{:not_a_cluster_node, ~c"The node selected is not in the cluster."}')
        if (other := self.nodes.get(target)) and other.runs and other.serves:
            raise RefusalError(
                f"RabbitMQ on node {target} must be stopped with 'rabbitmqctl -n {target} stop_app' before it can be removed"
            )

        def change(known: Store) -> None:
            known.members = [name for name in known.members if name != target]
            known.seen = [name for name in known.seen if name != target]
            known.draining = [name for name in known.draining if name != target]

        self.change(node, change)
        for queue, on in list((node.load() or store).queues.items()):
            if target in on and self._leads(queue, node):
                self._place(node, queue, [name for name in on if name != target])

    # Queues

    def declare(self, queue: str) -> None:
        """Have a client declare a quorum queue at whatever node serves."""
        for node in self.serving(self.nodes)[:1]:
            store = node.load()
            assert store
            if queue not in store.queues:
                names = [one.name for one in self.serving(store.members)][:COPIES]
                self._place_new(node, queue, names)
                for name in names:
                    self._hold(name, queue, [])
                self.acknowledged.setdefault(queue, [])

    def _place_new(self, node: RabbitMq, queue: str, names: list[str]) -> None:
        self.change(node, lambda known: known.queues.update({queue: names}))

    def time_passed(self, now: float) -> None:
        """Have clients publish when they do."""
        serving = self.serving(self.nodes)
        store = serving[0].load() if serving else None
        if self._writers.due(now, ([one.name for one in serving], store.queues if store else {})):
            self.publish()

    def publish(self) -> None:
        """Have clients publish a message into each queue; those that most of a queue's members have are acknowledged."""
        for node in self.serving(self.nodes)[:1]:
            store = node.load()
            assert store
            for queue, on in store.queues.items():
                if self._leads(queue, node):
                    number = next(self._numbers)
                    for one in self.serving(on):
                        self._hold(one.name, queue, [*self._held(one.name, queue), number])
                    self.acknowledged[queue].append(number)

    def _leads(self, queue: str, node: RabbitMq) -> bool:
        """Return whether a queue has a leader: most of its members run."""
        on = (node.load() or Store([], [])).queues[queue]
        return 2 * len(self.serving(on)) > len(on)

    def critical(self, node: RabbitMq) -> list[str]:
        """Return the queues that would have no leader without this node."""
        store = node.load()
        if store is None or len(store.members) == 1:
            return []
        return [
            queue
            for queue, on in store.queues.items()
            if node.name in on and 2 * len([one for one in self.serving(on) if one is not node]) <= len(on)
        ]

    def grow(self, node: RabbitMq, target: str) -> None:
        """Have all queues get a member on a node."""
        for queue, on in list((node.load() or Store([], [])).queues.items()):
            if target not in on and self._leads(queue, node):
                self._place(node, queue, [*on, target])

    def shrink(self, node: RabbitMq, target: str) -> None:
        """Have no queue keep a member on a node, unless it is the only one."""
        for queue, on in list((node.load() or Store([], [])).queues.items()):
            if target in on and on != [target] and self._leads(queue, node):
                self._place(node, queue, [name for name in on if name != target])

    def keep_own(self, node: RabbitMq) -> None:
        """Have all queues go on with the members on this node alone: what others had is given up."""
        for queue, on in list((node.load() or Store([], [])).queues.items()):
            if node.name in on and on != [node.name]:
                self._place(node, queue, [node.name])
                self.acknowledged[queue] = self._held(node.name, queue)

    def _reconcile(self, node: RabbitMq) -> None:
        """Have queues get members on nodes that are new, one at a time, as RabbitMQ does by itself."""
        store = node.load()
        if store is None:
            return
        running = {one.name for one in self.serving(store.members)} - set(store.draining)
        for queue, on in list(store.queues.items()):
            if not self._leads(queue, node):
                continue
            self._catch_up(queue, on)
            kept = [name for name in on if name in store.members]
            new = sorted(running - set(kept))
            grows = len(kept) < COPIES and new and (len(kept) % 2 == 0 or len(new) > 1)
            if grows and {one.name for one in self.serving(kept)} == set(kept):
                kept = [*kept, new[0]]
            if kept != on and kept:
                self._place(node, queue, kept)

    def _catch_up(self, queue: str, on: list[str]) -> None:
        """Have members that were away get what they missed: most of them have it, or it was never acknowledged."""
        serving = self.serving(on)
        full = sorted({number for one in serving for number in self._held(one.name, queue)})
        for one in serving:
            if self._held(one.name, queue) != full:
                self._hold(one.name, queue, full)

    def _place(self, node: RabbitMq, queue: str, on: list[str]) -> None:
        """Have a queue's members be on these nodes; new ones get what it holds."""
        before = (node.load() or Store([], [])).queues[queue]
        full = max((self._held(name, queue) for name in before if name in self.nodes), key=len, default=[])
        self.change(node, lambda known: known.queues.update({queue: on}))
        for name in set(on) | set(before):
            self._hold(
                name, queue, (self._held(name, queue) if name in before else full) if name in on else None
            )

    def _held(self, name: str, queue: str) -> list[int]:
        store = self.nodes[name].load() if name in self.nodes else None
        return store.messages.get(queue, []) if store else []

    def _hold(self, name: str, queue: str, messages: list[int] | None) -> None:
        node = self.nodes.get(name)
        store = node.load() if node else None
        if node is None or store is None:
            return
        if messages is None:
            store.messages.pop(queue, None)
        else:
            store.messages[queue] = messages
        node.save(store)

    # What must not be

    def clusters(self) -> list[list[str]]:
        """Return the clusters that serve, as the names of their nodes; a node that is to join is one of its own for a moment."""
        found: list[list[str]] = []
        for node in self.nodes.values():
            members = node.members() if node.serves else []
            names = sorted(one.name for one in self.serving(members))
            if members and names not in found:
                found.append(names)
        return found

    def lost(self) -> list[str]:
        """Return the queues of which no node that serves or will serve again has all that was acknowledged."""
        return [
            queue
            for queue, wanted in self.acknowledged.items()
            if wanted and not any(set(wanted) <= set(self._held(name, queue)) for name in self.nodes)
        ]


def matches(password: str, hashed: str) -> bool:
    """Return whether a password is the one that a hash in definitions was made of."""
    raw = base64.b64decode(hashed)
    return raw[4:] == hashlib.sha256(raw[:4] + password.encode()).digest()
