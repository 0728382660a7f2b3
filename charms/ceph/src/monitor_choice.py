"""Which units run monitors: an odd number, joining one by one, leaving one at a time."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from members import Member


def next_monitors(
    current: list[str], members: Mapping[str, Member], limit: int, gone: Collection[str] = ()
) -> list[str]:
    """Return which units shall run monitors, given those that do; each joins when all before it are in quorum.

    Monitors are added on the way to an odd number only, and when all that are there have been in quorum. A unit that
    leaves gives its monitor up, one at a time, only when the others are complete without it. When units are lost, two
    monitors stay two: a majority of two may be gone with either, but the cluster's maps are not on a single disk.

    Args:
        current: The units that run monitors or are about to; the founder is the first.
        members: All units that have said where they are, by name, in the order in which they are chosen. One that is
            not among them may just not have been met yet.
        limit: The most monitors to run (1, 3 or 5).
        gone: Those of `current` that the model does not have any more.
    """
    kept = [unit for unit in current if unit not in gone]
    if not all(unit in members and members[unit].monitor for unit in kept):
        return kept
    lasting = [unit for unit in kept if not members[unit].leaving]
    others = (unit for unit, member in members.items() if unit not in kept and not member.leaving)
    spare = list(islice(others, max(0, limit - len(lasting))))
    available = max(1, min(limit, len(lasting) + len(spare)))
    goal = max(count for count in (1, 3, 5) if count <= available)
    if len(lasting) < goal:
        return [*kept, *spare[: goal - len(lasting)]]
    surplus = [unit for unit in kept if unit not in lasting] or lasting[limit:]
    return [unit for unit in kept if unit != surplus[-1]] if surplus and lasting else kept


def runs_monitor(
    unit: str, chosen: list[str], members: Mapping[str, Member], gone: Collection[str] = ()
) -> bool:
    """Return whether a unit runs a monitor or is to join with one now: all chosen before it have been in quorum.

    Args:
        unit: The unit, one of `members`.
        chosen: The units that shall run monitors.
        members: All units that have said where they are.
        gone: Those of `chosen` that the model does not have any more.
    """
    if unit not in chosen:
        return False
    before = [other for other in chosen[: chosen.index(unit)] if other not in gone]
    return members[unit].monitor or all(other in members and members[other].monitor for other in before)
