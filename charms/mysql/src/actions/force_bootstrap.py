"""Start the cluster although a recorded member is missing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError, Outcome, require_leader
from state import Recovery

if TYPE_CHECKING:
    from charm import MySqlCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    unit: str
    confirm: str


def run(charm: MySqlCharm, params: Params) -> Outcome:
    """Leave the missing members behind, and have a unit begin the cluster again with its data.

    Raises:
        ActionError: This is not the leader, the cluster needs no force, or the units are not named as they are.
    """
    require_leader(charm, f"force-bootstrap unit={params.unit} confirm={params.confirm}")
    if busy := charm.restoration.progress:
        raise ActionError(busy)
    missing, reported = charm.membership.lacking, charm.membership.positions
    if not reported:
        raise ActionError(
            "no unit has reported a position: the cluster serves, or forms itself; see cluster-status"
        )
    if not missing:
        raise ActionError(
            "all members have reported: the one with the newest data begins by itself; see status"
        )
    if params.unit not in reported:
        raise ActionError(
            f"unit={params.unit}: it has reported no position; of those that have: {', '.join(reported)}"
        )
    if {part.strip() for part in params.confirm.split(",")} != set(missing):
        raise ActionError(
            f"confirm={params.confirm!r}: the data of {', '.join(missing)} would be given up; name them in confirm"
        )
    answer = Recovery(unit=params.unit, number=charm.members.recovery.number + 1, begin=True)
    kept = [[unit, address] for unit, address in charm.members.recorded.items() if unit in reported]
    behind = sorted({*charm.members.left_behind, *missing})
    charm.cluster.publish_shared(
        **{"members": kept, "left-behind": behind, "forced": True, "recovery": dataclasses.asdict(answer)}
    )
    return Outcome(summary=f"{params.unit} begins the cluster again; {', '.join(missing)} left behind")
