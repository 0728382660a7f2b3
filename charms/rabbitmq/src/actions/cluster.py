"""The cluster, its queues and its clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import RefusedError, UnreachableError
from openinfra_charm.model.actions import ActionError, Outcome, failing_on, require_leader
from state import unit_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from charm import RabbitMqCharm

ASK_SECONDS = 45
"""How long an action may ask about one virtual host after the other."""


def cluster_status(charm: RabbitMqCharm) -> Outcome:
    """Show who is a member, who runs, alarms, partitions, and which users clients have.

    Raises:
        ActionError: There is no cluster yet, or the broker does not answer.
    """
    shared = charm.cluster.shared
    if "cluster-id" not in shared:
        raise ActionError("the cluster is not named yet: wait for the leader")
    with _failing(charm):
        found = charm.rabbitmq.control.cluster_status()
    running = sorted(map(unit_of, found.running))
    result = {
        "cluster": shared["cluster-id"],
        "recorded": [one.unit for one in charm.members.recorded.values()],
        "members": sorted(map(unit_of, found.members)),
        "running": running,
        "draining": sorted(map(unit_of, found.draining)),
        "alarms": list(found.alarms),
        "partitions": {
            unit_of(node): sorted(map(unit_of, others)) for node, others in found.partitions.items()
        },
        "relations": {
            str(relation.id): {"application": relation.app.name, "users": charm.clients.users(relation.id)}
            for relation in charm.model.relations["amqp"]
        },
    }
    words = [f"{len(running)} of {len(found.members)} members run", *found.alarms]
    return Outcome(summary="; ".join(words), result=result)


def list_queues(charm: RabbitMqCharm, *, vhost: str = "") -> Outcome:
    """Show the queues of one virtual host, or of all.

    Raises:
        ActionError: The broker does not answer, there is no such virtual host, or there are too many to be asked about.
    """
    control, limit = charm.rabbitmq.control, charm.machine.now() + ASK_SECONDS
    with _failing(charm):
        known = control.vhosts()
    if vhost and vhost not in known:
        raise ActionError(f"vhost={vhost}: there is no such virtual host; there are: {', '.join(known)}")
    found: list[dict[str, object]] = []
    for name in [vhost] if vhost else known:
        if charm.machine.now() > limit:
            raise ActionError(
                f"there are too many virtual hosts to be asked about at once: name one with vhost={name}"
            )
        with _failing(charm):
            queues = control.queues(name)
        for queue in queues:
            members = [unit_of(str(one)) for one in queue.get("members") or ()]
            online = [unit_of(str(one)) for one in queue.get("online") or ()]
            leader = unit_of(str(queue.get("leader") or ""))
            found.append({**queue, "vhost": name, "leader": leader, "members": members, "online": online})
    waiting = sum(int(str(queue.get("messages") or 0)) for queue in found)
    lost = sum(1 for queue in found if queue["type"] == "quorum" and not queue["leader"])
    words = f"{len(found)} queues with {waiting} messages" + (
        f"; {lost} of them have no leader" if lost else ""
    )
    return Outcome(summary=words, result=found)


def forget_node(charm: RabbitMqCharm, *, unit: str, confirm: str = "", dry_run: bool = False) -> Outcome:
    """Have the cluster go on without a unit that is in the model and does not come back.

    Raises:
        ActionError: This is not the leader, the unit is no member or runs, or it is not named twice.
    """
    require_leader(charm, f"forget-node unit={unit} confirm={confirm}")
    members = charm.members
    if unit not in members.recorded:
        raise ActionError(f"unit={unit}: no member; members are {', '.join(members.recorded)}")
    if unit in members.lost:
        raise ActionError(f"{unit} is given up already; see the status of {charm.unit.name}")
    if unit == charm.unit.name:
        raise ActionError(f"{unit} is this unit: it runs")
    node = charm.rabbitmq.node()
    if node and unit in node.connected:
        raise ActionError(f"{unit} runs: juju remove-unit {unit} takes it out of the cluster")
    words = f"the messages that only {unit} has are lost, and it can be removed only: juju remove-unit {unit}"
    if dry_run:
        return Outcome(summary=f"possible: {words}")
    if confirm != unit:
        raise ActionError(f"confirm={confirm!r}: {words}; name it in confirm")
    charm.cluster.publish_shared(**{"left-behind": sorted({*members.left_behind, unit})})
    return Outcome(summary=f"the cluster goes on without {unit}: {words}")


def rotate_password(charm: RabbitMqCharm, *, relation_id: int) -> Outcome:
    """Publish a second user. The first one goes when Juju says that nobody reads its password any more.

    Raises:
        ActionError: This is not the leader, there is no such client, its last rotation is not over, or the broker does not answer.
    """
    require_leader(charm, f"rotate-password relation-id={relation_id}")
    with _failing(charm):
        return Outcome(summary=charm.clients.rotate(relation_id))


def _failing(charm: RabbitMqCharm) -> AbstractContextManager[None]:
    """Turn it into the action's failure where the broker does not answer, or refuses."""
    return failing_on(RefusedError, UnreachableError, words=f"{{}}; see the status of {charm.unit.name}")
