"""Show which monitors are in quorum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actions import cluster
from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephCharm

__all__ = ["Params", "run"]


def run(charm: CephCharm, _params: Params) -> Outcome:
    """Tell which monitors there are, which agree, and who leads.

    Raises:
        ActionError: The cluster does not answer.
    """
    with cluster():
        status = charm.ceph.admin.command("quorum_status")
    names = [monitor["name"] for monitor in status["monmap"]["mons"]]
    result = {"monitors": names, "quorum": status["quorum_names"], "leader": status["quorum_leader_name"]}
    return Outcome(summary=f"{len(result['quorum'])} of {len(names)} monitors are in quorum", result=result)
