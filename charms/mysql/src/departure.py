"""Whether a unit can leave without taking the last complete copy of the data with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mysql import MySql
    from openinfra_charm.machine import Machine


def remember(machine: Machine, application: str, addresses: Mapping[str, str]) -> None:
    """Note where the servers of all units are, for when this one leaves: the relation lists nobody then."""
    machine.write(_notes(application), json.dumps(dict(addresses), sort_keys=True))


def remembered(machine: Machine, application: str) -> dict[str, str]:
    """Return where the servers of the units are that this one has met."""
    return json.loads(machine.read(_notes(application)) or "{}")


def why_not(
    mysql: MySql, *, joined: bool, others: Mapping[str, str], is_synced: Callable[[str], bool]
) -> str | None:
    """Return why this machine's unit must not leave the application now; None if it can.

    Args:
        mysql: The server of this machine.
        joined: Whether the unit is known to have been in the cluster.
        others: The units that stay, each with its address for clients; empty where it has told none yet. Where nobody
            stays the data go with the application.
        is_synced: Asks the server at an address whether it is complete and serves.
    """
    node = mysql.node()
    if node and node.gives_copy:
        return "another unit is just copying its data from this one"
    if not others or mysql.receives_copy or not (joined or mysql.has_history):
        return None
    if any(address and is_synced(address) for address in others.values()):
        return None
    names = ", ".join(others)
    return f"the data would be lost: none of the units that stay ({names}) has a complete copy and serves"


def _notes(application: str) -> str:
    return f"/var/lib/openinfra/{application}/members.json"
