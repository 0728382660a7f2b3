"""RabbitMQ's own programs on this machine: the one way from the charm to the broker, beside its metrics.

Each run starts an Erlang machine and takes a second or more: a hook with nothing new runs none.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openinfra_charm.machine import Machine

SECONDS = 30
"""How long a program may take; most take one or two seconds."""
UNAVAILABLE = (
    "unable to perform an operation on node",
    "requires the 'rabbit' app to be running",
    "nodedown",
)
"""What is said where no node answers, or its broker does not run. Exit codes do not tell: 69 is a refusal too."""
TIMED_OUT = (124, 137)
"""Exit codes of what was ended because it took too long (timeout(1))."""
DEFINITIONS = "/run/openinfra/rabbitmq-definitions.json"
"""What a user and a virtual host are made from: without a terminal `rabbitmqctl` reads nothing from its standard input."""
OWNER = "rabbitmq"
FORGOTTEN = ("not_a_cluster_node", "not a member of the cluster", "failed to shrink")
"""What is said of a node that is forgotten already, or is now though queues without a majority keep their member there."""
COPIES = 3
"""How many members a quorum queue is to have, where there are so many nodes."""
_MEMBERSHIP = """\
base64:encode(iolist_to_binary(rabbit_json:encode([
  #{vhost => VHost, name => Name, nodes => maps:get(nodes, amqqueue:get_type_state(Q), [])}
  || Q <- rabbit_amqqueue:list(), amqqueue:get_type(Q) =:= rabbit_quorum_queue,
     {resource, VHost, queue, Name} <- [amqqueue:get_name(Q)]
]))).
"""
"""An expression of Erlang for the members of all quorum queues of the cluster: what `list_queues` says of one virtual host at a time."""
_FORGET_CERTIFICATES = """\
ssl:clear_pem_cache(),
[gen_server:call(Cache, {unconditionally_clear_pem_cache, self()}) || Cache <- [ssl_pem_cache_dist], whereis(Cache) =/= undefined],
ok.
"""
"""Certificates are kept in memory for clients and for nodes apart, and `ssl` has a word for the first of the two only."""
_KEEP_OWN_COPIES = "rabbit_quorum_queue:force_all_queues_shrink_member_to_current_member()."


_LONGEST = 300
"""How much of what a program says is repeated."""


class UnreachableError(Exception):
    """The broker does not answer here."""


class RefusedError(Exception):
    """The broker refused; the message is its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterStatus:
    """The cluster as one node sees it: names of nodes, alarms in words, and for each node of a partition those that it does not see."""

    members: tuple[str, ...]
    running: tuple[str, ...]
    alarms: tuple[str, ...]
    partitions: Mapping[str, tuple[str, ...]]
    draining: tuple[str, ...]


class Control:
    """`rabbitmqctl` and the programs beside it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    # The cluster

    def cluster_status(self) -> ClusterStatus:
        """Return the cluster as this node sees it.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        found = self._read("rabbitmqctl", "cluster_status")
        maintenance: dict[str, str] = found.get("maintenance_status", {})
        return ClusterStatus(
            members=tuple(sorted(found["disk_nodes"])),
            running=tuple(sorted(found["running_nodes"])),
            alarms=tuple(_alarm(one) for one in found["alarms"]),
            partitions={node: tuple(others) for node, others in dict(found["partitions"]).items()},
            draining=tuple(
                sorted(node for node, state in maintenance.items() if not state.startswith("not "))
            ),
        )

    def join(self, node: str) -> None:
        """Have this node, which is a cluster of its own, join the one that another node is in; what it held is lost.

        Raises:
            UnreachableError: The broker does not answer here, or there.
            RefusedError: The cluster does not take it.
        """
        self._run("rabbitmqctl", "stop_app")
        try:
            self._run("rabbitmqctl", "join_cluster", node)
        finally:
            self._run("rabbitmqctl", "start_app")

    def forget(self, node: str) -> None:
        """Have the cluster forget a node that does not run, and the members of queues there; one that is forgotten already may be named.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: The node runs, or there is no majority to agree to it.
        """
        try:
            self._run("rabbitmqctl", "forget_cluster_node", node)
        except RefusedError as error:
            if not any(words in str(error) for words in FORGOTTEN):
                raise

    def force_boot(self) -> None:
        """Have this node, which is stopped, start without waiting for others at its next start.

        Raises:
            RefusedError: It cannot be done.
        """
        self._run("rabbitmqctl", "force_boot")

    def go_on_alone(self) -> None:
        """Have this node, which runs, be the only one that the metadata are on (Khepri).

        Raises:
            UnreachableError: The node does not answer.
            RefusedError: It cannot be done.
        """
        self._run("rabbitmqctl", "force_standalone_khepri_boot")

    def keep_own_copies(self) -> None:
        """Have quorum queues go on with the members that are here alone: for the one node that is left, for good.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        self._evaluate(_KEEP_OWN_COPIES)

    def enable_feature_flags(self) -> None:
        """Enable all stable feature flags of the cluster's version: there is no way back to an older one.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: A node is missing, or does not know one.
        """
        self._run("rabbitmqctl", "enable_feature_flag", "all")

    def forget_certificates(self) -> None:
        """Have the broker read its certificates anew, for clients and for other nodes; connections stay.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        self._evaluate(_FORGET_CERTIFICATES)

    # Whether this node can be done without

    def why_critical(self) -> str:
        """Return why queues would stand still without this node, in its words; empty if they would not.

        Raises:
            UnreachableError: The broker does not answer.
        """
        try:
            self._run("rabbitmq-diagnostics", "check_if_node_is_quorum_critical")
        except RefusedError as error:
            return str(error)
        return ""

    def drain(self) -> None:
        """Have this node give the lead of queues to others, and take no clients.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        self._run("rabbitmq-upgrade", "drain")

    def revive(self) -> None:
        """Have this node take clients again.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        self._run("rabbitmq-upgrade", "revive")

    def grow(self, node: str, *, seconds: float = SECONDS) -> None:
        """Have all quorum queues get a member on a node; where they have one nothing happens.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        self._run("rabbitmq-queues", "grow", node, "all", "--errors-only", seconds=seconds)

    def shrink(self, node: str, *, seconds: float = SECONDS) -> None:
        """Have no quorum queue keep a member on a node; one that has no other keeps it.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        self._run("rabbitmq-queues", "shrink", node, "--errors-only", seconds=seconds)

    # Queues

    def membership(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Return on which nodes each quorum queue has members, by virtual host and name.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        encoded = re.sub(r"[^A-Za-z0-9+/=]", "", self._evaluate(_MEMBERSHIP))
        rows = cast("list[dict[str, Any]]", json.loads(base64.b64decode(encoded)))
        return {(row["vhost"], row["name"]): tuple(row["nodes"]) for row in rows}

    def leaderless(self) -> list[str]:
        """Return the quorum queues that have no leader, in the broker's words.

        Raises:
            UnreachableError: The broker does not answer.
        """
        words = ("check_for_quorum_queues_without_an_elected_leader", "--across-all-vhosts", ".*")
        try:
            self._run("rabbitmq-diagnostics", *words, "--formatter", "json")
        except RefusedError as error:
            return sorted(set(re.findall(r'"readable_name":"([^"]+)"', str(error)))) or [str(error)]
        return []

    def vhosts(self) -> list[str]:
        """Return the names of all virtual hosts.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        return sorted(row["name"] for row in self._read("rabbitmqctl", "list_vhosts", "name"))

    def queues(self, vhost: str) -> list[dict[str, Any]]:
        """Return the queues of a virtual host, as `rabbitmqctl list_queues` describes them.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        items = ("name", "type", "messages", "consumers", "leader", "members", "online")
        return self._read("rabbitmqctl", "list_queues", "--vhost", vhost, *items)

    # Users

    def users(self) -> set[str]:
        """Return the names of all users.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        return {row["user"] for row in self._read("rabbitmqctl", "list_users")}

    def make_user(self, user: str, password: str, vhost: str) -> None:
        """Have a virtual host, and a user with this password who may do everything in it, and nothing elsewhere.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        every = ".*"
        definitions = {
            "vhosts": [{"name": vhost, "metadata": {"default_queue_type": "quorum"}}],
            "users": [{"name": user, "password_hash": _hash(password), "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": []}],
            "permissions": [{"user": user, "vhost": vhost, "configure": every, "write": every, "read": every}],
        }  # fmt: skip
        self._machine.write(DEFINITIONS, json.dumps(definitions), mode=0o600, user=OWNER, group=OWNER)
        try:
            self._run("rabbitmqctl", "import_definitions", DEFINITIONS)
        finally:
            self._machine.remove(DEFINITIONS)

    def drop_users(self, users: Iterable[str]) -> None:
        """Have no such users; one that is not there is none.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        for user in users:
            self._run("rabbitmqctl", "delete_user", user)

    # How they are run

    def _evaluate(self, expression: str) -> str:
        return self._run("rabbitmqctl", "eval", " ".join(expression.split()))

    def _read(self, program: str, *words: str) -> Any:
        return json.loads(self._run(program, *words, "--formatter", "json"))

    def _run(self, program: str, *words: str, seconds: float = SECONDS) -> str:
        # Ended by itself, the program would leave those running that it has started as another user.
        limit = ("timeout", "--kill-after=5", f"{seconds:g}")
        late = f"{program} {words[0]} did not end within {seconds:g} s"
        try:
            done = self._machine.run(
                *limit,
                program,
                "--silent",
                *words,
                timeout=seconds + 10,
                check=False,
                env={"LANG": "C.UTF-8"},
            )
        except TimeoutError as error:
            # On a machine with too much to do, a child of the program is still there when `timeout` has ended.
            raise UnreachableError(late) from error
        if done.code in TIMED_OUT:
            raise UnreachableError(late)
        if done.code:
            said = f"{done.stderr}\n{done.stdout}"
            if any(sign in said for sign in UNAVAILABLE):
                raise UnreachableError("RabbitMQ does not serve here")
            raise RefusedError(_words(said) or f"{program} {words[0]} ended with exit code {done.code}")
        return done.stdout


def _words(said: str) -> str:
    """Return what a program says is wrong, in one line."""
    lines = (line.strip() for line in said.splitlines())
    return " ".join(line for line in lines if line and line not in {"Error:", "[]"})[:_LONGEST]


def _alarm(found: Any) -> str:
    """Return an alarm in words: `memory on rabbit@rabbitmq-0`."""
    if isinstance(found, dict):
        known = cast("dict[str, str]", found)
        return f"{known.get('resource', known.get('type', 'alarm'))} on {known.get('node', '?')}"
    return str(found)


def _hash(password: str) -> str:
    """Return a password as definitions have it: never the password itself (rabbitmq.com/docs/passwords)."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
