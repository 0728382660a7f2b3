"""Show how the cache is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memcached import NoAnswerError
from openinfra_charm.model.actions import ActionError, NoParams, Outcome

if TYPE_CHECKING:
    from charm import MemcachedCharm

Params = NoParams


def run(charm: MemcachedCharm, _: Params) -> Outcome:
    """Show what the daemon counts.

    Raises:
        ActionError: The daemon does not answer.
    """
    try:
        stats = charm.memcached.stats()
    except NoAnswerError as error:
        raise ActionError(f"{error}; see the status of {charm.unit.name}") from error
    hits, misses = int(stats["get_hits"]), int(stats["get_misses"])
    rate = (
        f", {100 * hits // (hits + misses)} % of {hits + misses} reads found theirs" if hits + misses else ""
    )
    used, limit = int(stats["bytes"]) >> 20, int(stats["limit_maxbytes"]) >> 20
    summary = (
        f"{stats['curr_items']} items in {used} of {limit} MiB, {stats['curr_connections']} connections{rate}"
    )
    return Outcome(summary=summary, result=stats)
