"""Moving data off OSDs, by taking their CRUSH weights; every step may be done again after a crash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from safety import is_safe_to_destroy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from admin import Admin
    from openinfra_charm.machine import Machine

PAUSE = 3
"""Seconds between two looks at a cluster that is moving data."""


def empty(machine: Machine, admin: Admin, numbers: list[int], report: Callable[[str], None]) -> None:
    """Move all data off OSDs, and return when each could be destroyed without a copy less.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    begin(admin, numbers)
    while not is_safe_to_destroy(admin, numbers):
        usage = admin.command("status")["pgmap"]
        left = usage.get("misplaced_objects", 0) + usage.get("degraded_objects", 0)
        report(f"data is moving off OSDs {', '.join(map(str, numbers))}: {left} objects to go")
        machine.sleep(PAUSE)


def begin(admin: Admin, numbers: list[int]) -> None:
    """Let data move off OSDs; one that has never been up has no place in CRUSH, and no data.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    weights = _weights(admin)
    for osd in admin.command("osd dump")["osds"]:
        number = osd["osd"]
        if number in numbers and number in weights:
            if weights[number]:
                admin.command("config-key set", key=_weight(osd["uuid"]), val=json.dumps(weights[number]))
            admin.command("osd crush reweight", name=f"osd.{number}", weight=0.0)


def cancel(admin: Admin, uuids: Collection[str]) -> list[int]:
    """Give OSDs that are being drained the CRUSH weights that they had; return their numbers.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    weights = _weights(admin)
    found: list[int] = []
    for osd in admin.command("osd dump")["osds"]:
        if osd["uuid"] not in uuids or weights.get(osd["osd"]) != 0:
            continue
        before = admin.stored(_weight(osd["uuid"]))
        if before:
            admin.command("osd crush reweight", name=f"osd.{osd['osd']}", weight=before)
            admin.command("config-key rm", key=_weight(osd["uuid"]))
            found.append(osd["osd"])
    return sorted(found)


def _weights(admin: Admin) -> dict[int, float]:
    """Return the CRUSH weights of all OSDs that have a place, as exactly as CRUSH keeps them: in 1/65536."""
    nodes = [node for node in admin.command("osd tree")["nodes"] if node["type"] == "osd"]
    return {node["id"]: round(node["crush_weight"] * 65536) / 65536 for node in nodes}


def _weight(uuid: str) -> str:
    return f"openinfra/weights/{uuid}"
