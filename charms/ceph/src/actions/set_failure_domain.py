"""Put copies on different domains of a kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import crush
from actions import cluster
from openinfra_charm.model.actions import ActionError, Outcome

if TYPE_CHECKING:
    from charm import CephCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    domain: str
    dry_run: bool = True


def run(charm: CephCharm, params: Params) -> Outcome:
    """Change the rule of all replicated pools, or tell how much data that would move.

    Raises:
        ActionError: There are fewer such domains than a pool has copies.
    """
    with cluster():
        try:
            move = crush.plan_failure_domain(charm.machine, charm.ceph.admin, params.domain)
        except crush.CrushError as error:
            raise ActionError(f"domain={params.domain}: {error}") from error
        if params.dry_run:
            text = f"{move} would move; set dry-run=false to do it"
            return Outcome(summary=text, result={"bytes-to-move": move.moved})
        crush.set_failure_domain(charm.ceph.admin, params.domain)
    return Outcome(summary=f"copies go to different {params.domain}s now; {move} to move")
