"""Start this unit's gateway again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephRgwCharm

__all__ = ["Params", "run"]


def run(charm: CephRgwCharm, _params: Params) -> Outcome:
    """Start this machine's object gateway after `pause`."""
    if not charm.rgw.daemon.paused:
        return Outcome(summary="not paused; nothing to do")
    charm.rgw.resume()
    return Outcome(summary="started")
