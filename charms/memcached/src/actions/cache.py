"""What this unit's cache holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memcached import NoAnswerError
from openinfra_charm.model.actions import ActionError, Outcome, failing_on

if TYPE_CHECKING:
    from charm import MemcachedCharm


def stats(charm: MemcachedCharm) -> Outcome:
    """Show what the daemon counts.

    Raises:
        ActionError: The daemon does not answer.
    """
    with failing_on(NoAnswerError, words=f"{{}}; see the status of {charm.unit.name}"):
        found = charm.memcached.stats()
    hits, misses = int(found["get_hits"]), int(found["get_misses"])
    rate = (
        f", {100 * hits // (hits + misses)} % of {hits + misses} reads found theirs" if hits + misses else ""
    )
    used, limit = int(found["bytes"]) >> 20, int(found["limit_maxbytes"]) >> 20
    summary = (
        f"{found['curr_items']} items in {used} of {limit} MiB, {found['curr_connections']} connections{rate}"
    )
    return Outcome(summary=summary, result=found)


def flush_all(charm: MemcachedCharm, *, confirm: bool = False) -> Outcome:
    """Have this unit's cache delete all items.

    Raises:
        ActionError: It was not confirmed, or another unit owns the machine's daemon (nothing is deleted); or the
            daemon does not answer.
    """
    charm.owned.require("flush-all")
    if not confirm:
        raise ActionError(f"all items of {charm.unit.name} would be lost; confirm with confirm=true")
    with failing_on(NoAnswerError, words=f"{{}}; see the status of {charm.unit.name}"):
        charm.memcached.flush()
    return Outcome(summary=f"all items of {charm.unit.name} are deleted")
