"""Whether OSDs may stop, or go for good: the cluster is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admin import CommandRefusedError, UnreachableError

if TYPE_CHECKING:
    from admin import Admin


def is_safe_to_destroy(admin: Admin, numbers: list[int]) -> bool:
    """Return whether these OSDs hold nothing that is not elsewhere in full; one that does not exist is no risk.

    Asked for JSON, Ceph refuses only as long as it knows nothing of some placement groups; else its answer names
    the OSDs for which it is so.
    """
    try:
        answer = admin.command("osd safe-to-destroy", ids=[str(number) for number in numbers])
    except CommandRefusedError:
        return False
    return set(numbers) <= set(answer["safe_to_destroy"])


def is_ok_to_stop(admin: Admin, numbers: list[int]) -> bool:
    """Return whether all data stay available while these OSDs are down together."""
    known = [number for number in numbers if number in admin.command("osd ls")]
    if not known:
        return True
    try:
        admin.command("osd ok-to-stop", ids=[str(number) for number in known])
    except CommandRefusedError:
        return False
    return True


def why_data_would_be_lost(admin: Admin, numbers: list[int]) -> str | None:
    """Return why these OSDs must not go for good; None if nothing is lost with them.

    Ceph's own pool (`.mgr`) holds nothing that anybody would miss when the cluster goes.
    """
    if not numbers:
        return None
    try:
        pools = [name for name in admin.command("osd pool ls") if name != ".mgr"]
        if not pools or is_safe_to_destroy(admin, numbers):
            return None
    except UnreachableError as error:
        return f"{error}, so it is unknown whether OSDs {numbers} hold the only copy of something"
    return f"OSDs {', '.join(map(str, numbers))} hold copies that are not elsewhere yet"
