"""What is the matter with quorum queues and between brokers, as the leader has last looked: members and leaders that are missing, partitions.

To look costs the start of a program, so it is done when Juju asks how the unit is, and what was found is kept for the hooks between.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control import COPIES, RefusedError, UnreachableError
from state import node_name, unit_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openinfra_charm.daemon.job import Jobs
    from rabbitmq import RabbitMq
    from state import Members

FOUND = "queues.json"
GROW = "jobs.grow_queues"
MOST_SHOWN = 3


@dataclass(kw_only=True)
class Queues:
    """The quorum queues of the cluster, looked after by the leader's unit."""

    rabbitmq: RabbitMq
    members: Members
    jobs: Jobs

    def look(self) -> None:
        """Look what is the matter with them, and have those grow that do not by themselves."""
        rabbitmq = self.rabbitmq
        try:
            membership = rabbitmq.control.membership()
            leaderless = rabbitmq.control.leaderless() if rabbitmq.traits.finds_leaderless else []
            partitions = rabbitmq.control.cluster_status().partitions if rabbitmq.traits.pauses else {}
        except (RefusedError, UnreachableError):
            return
        nodes = {node_name(one.unit) for one in self.members.kept}
        wanted = min(COPIES, len(nodes))
        # One of two is no better off with a second member: a majority of two is both.
        odd = len(nodes) != 2  # noqa: PLR2004
        short = [queue for queue, on in membership.items() if odd and len(set(on) & nodes) < wanted]
        apart = sorted(unit_of(node) for node, unseen in partitions.items() if unseen)
        found = {"short": len(short), "leaderless": leaderless, "apart": apart}
        rabbitmq.note(FOUND, json.dumps(found, sort_keys=True) if any(found.values()) else None)
        if short and not rabbitmq.traits.reconciles:
            self.jobs.start(GROW, unit=self.members.unit, nodes=",".join(sorted(nodes)))

    def problems(self) -> Iterator[str]:
        """Yield what was the matter."""
        found = json.loads(self.rabbitmq.noted(FOUND) or "{}")
        if short := found.get("short"):
            yield f"{short} queue{'s have' if short > 1 else ' has'} fewer than {COPIES} members"
        if leaderless := found.get("leaderless"):
            shown = ", ".join(leaderless[:MOST_SHOWN])
            yield f"without a leader: {shown}; see list-queues, and the README on how to make them anew"
        if apart := found.get("apart"):
            yield f"a partition is left, as {', '.join(apart)} report; see cluster-status, and journalctl -u {self.rabbitmq.application}-guard"
