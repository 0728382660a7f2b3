"""Start this unit's metadata server again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import NoParams as Params

if TYPE_CHECKING:
    from charm import CephFsCharm
    from openinfra_charm.model.actions import Outcome

__all__ = ["Params", "run"]


def run(charm: CephFsCharm, _params: Params) -> Outcome:
    """Start this machine's metadata server after `pause`."""
    return charm.paused.end()
