"""Let the cluster move data again when OSDs are down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actions import cluster
from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephCharm

__all__ = ["Params", "run"]


def run(charm: CephCharm, _params: Params) -> Outcome:
    """Unset the flag `noout`.

    Raises:
        ActionError: The cluster does not answer.
    """
    with cluster():
        charm.ceph.admin.command("osd unset", key="noout")
    return Outcome(summary="noout is not set")
