"""Start this unit's gateway again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import NoParams as Params

if TYPE_CHECKING:
    from charm import CephRgwCharm
    from openinfra_charm.model.actions import Outcome

__all__ = ["Params", "run"]


def run(charm: CephRgwCharm, _params: Params) -> Outcome:
    """Start this machine's object gateway after `pause`."""
    return charm.paused.end()
