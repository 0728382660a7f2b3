"""What differs between versions of RabbitMQ that distributions have, in one table.

How a cluster comes back, and what it does in a partition, depends on where it keeps its metadata (users, virtual hosts, queues):

- Mnesia. After a total loss each node waits for those that it last saw run, for as long as it takes; the one that stopped last, or all
  together, go first. If one of these never comes back, a node has to be told to start without it (`force_boot`). In a
  partition the smaller side pauses itself (`pause_minority`); where it ends before that, a node of it has to be restarted.
- Khepri, a Raft log. A majority suffices, in any order. `pause_minority` has no effect: the smaller side goes on to take clients, whose
  changes wait; so they are moved off it. Without a majority for ever, a node has to be told to go on alone.

A cluster of Mnesia that is upgraded to 4.2 goes over to Khepri when all of its feature flags are enabled, after the last unit.
"""

from __future__ import annotations

from dataclasses import dataclass

from openinfra_charm.model.status import NeedsOperatorError


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """What a version does.

    `since` is the first one. `khepri` says where the metadata are: in Khepri, or else in Mnesia. `pauses`: the smaller side of a partition
    pauses itself. `reconciles`: quorum queues get members on new nodes by themselves, and lose those on nodes that are gone. `finds_leaderless`: it
    is asked for quorum queues without a leader in one command. `delivery_limit`: how often a message of a quorum queue is
    delivered anew before it is dropped, where it is not set; 0: without end.
    """

    since: tuple[int, int]
    khepri: bool
    pauses: bool
    reconciles: bool
    finds_leaderless: bool
    delivery_limit: int


VERSIONS = (
    Version(
        since=(4, 2), khepri=True, pauses=False, reconciles=True, finds_leaderless=True, delivery_limit=20
    ),
    Version(
        since=(4, 1), khepri=False, pauses=True, reconciles=True, finds_leaderless=True, delivery_limit=20
    ),
    Version(
        since=(4, 0), khepri=False, pauses=True, reconciles=True, finds_leaderless=False, delivery_limit=20
    ),
    Version(
        since=(3, 13), khepri=False, pauses=True, reconciles=True, finds_leaderless=False, delivery_limit=0
    ),
    Version(
        since=(3, 12), khepri=False, pauses=True, reconciles=False, finds_leaderless=False, delivery_limit=0
    ),
)
"""The newest first; what is not here yet is taken for the newest."""


def find(version: str) -> Version:
    """Return what a version, such as `4.0.5`, does.

    Raises:
        NeedsOperatorError: It is older than all that are known here.
    """
    numbers = version.split(".")
    found = (int(numbers[0]), int(numbers[1]))
    for one in VERSIONS:
        if one.since <= found:
            return one
    oldest = ".".join(map(str, VERSIONS[-1].since))
    raise NeedsOperatorError(f"RabbitMQ {version} is too old: at least {oldest} is needed; use a newer base")
