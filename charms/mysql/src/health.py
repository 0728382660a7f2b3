"""Whether this machine's server may stop, and whether it is back: what `host` and a rolling restart ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mysql import MySql, Node


def why_not_to_stop(mysql: MySql) -> str | None:
    """Return why this machine's server must not stop now; None if the cluster can do without it.

    A cluster of one member has no other to serve meanwhile: then it is for whoever stops it to know.
    """
    if mysql.member_count < 2:  # noqa: PLR2004  one is no cluster
        return None
    node = mysql.node()
    if node is None or not node.serves:
        return "the database does not serve here: the cluster must be complete first, see cluster-status"
    if node.size < mysql.member_count:
        return f"only {node.size} of {mysql.member_count} members are in the cluster, see cluster-status"
    return None


def why_not_ready(node: Node | None) -> str | None:
    """Return why this machine's server, which has answered this, does not serve in full yet; None if it does."""
    if node is None:
        return "the database does not answer"
    if not node.serves:
        return f"the database is {node.state or 'not ready'}, {'Primary' if node.primary else 'not in the primary component'}"
    return None
