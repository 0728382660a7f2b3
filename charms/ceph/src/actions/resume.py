"""Start this unit's daemons again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephCharm

__all__ = ["Params", "run"]


def run(charm: CephCharm, _params: Params) -> Outcome:
    """Start all Ceph daemons of this machine after `pause`."""
    if not charm.ceph.paused:
        return Outcome(summary="not paused; nothing to do")
    charm.ceph.resume()
    return Outcome(summary="started")
