"""Show the cluster's health with its reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actions import cluster
from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephCharm

__all__ = ["Params", "run"]


def run(charm: CephCharm, _params: Params) -> Outcome:
    """Tell what Ceph's health checks say, in detail.

    Raises:
        ActionError: The cluster does not answer.
    """
    with cluster():
        health = charm.ceph.admin.command("health", detail="detail")
    return Outcome(summary=health["status"], result=health)
