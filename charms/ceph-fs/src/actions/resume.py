"""Start this unit's metadata server again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephFsCharm

__all__ = ["Params", "run"]


def run(charm: CephFsCharm, _params: Params) -> Outcome:
    """Start this machine's metadata server after `pause`."""
    if not charm.mds.daemon.paused:
        return Outcome(summary="not paused; nothing to do")
    charm.mds.daemon.resume()
    return Outcome(summary="started")
