"""Show the cluster as this unit sees it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError, Outcome
from openinfra_charm.model.actions import NoParams as Params

if TYPE_CHECKING:
    from charm import MySqlCharm

__all__ = ["Params", "run"]


def run(charm: MySqlCharm, _params: Params) -> Outcome:
    """Show who is a member, who is in the component, how far stopped ones are, and where clients write.

    Raises:
        ActionError: There is no cluster yet.
    """
    shared = charm.cluster.shared
    if "cluster-id" not in shared:
        raise ActionError("the cluster is not named yet: wait for the leader")
    node = charm.mysql.node()
    positions = {
        unit: dataclasses.asdict(member.position) for unit, member in charm.members.items() if member.position
    }
    result = {
        "cluster": shared["cluster-id"],
        "members": charm.members.recorded,
        "writer": charm.members.writer,
        "component": list(node.addresses) if node else [],
        "primary": bool(node and node.primary),
        "state": node.state if node else "does not answer",
        "positions": positions,
        "relations": {
            str(relation.id): {"application": relation.app.name, "users": charm.clients.users(relation.id)}
            for relation in charm.model.relations["database"]
        },
    }
    count = f"{node.size if node else 0} of {len(charm.members.recorded)} members are in the cluster"
    return Outcome(summary=f"{count}; here it is {result['state']}", result=result)
