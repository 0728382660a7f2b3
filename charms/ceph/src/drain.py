"""Moving data off OSDs and off machines, step by step; every step may be done again after a crash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import health
from admin import CommandRefusedError
from disk import DiskError
from osd import is_ok_to_stop, is_safe_to_destroy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from admin import Admin
    from ceph import Ceph
    from openinfra_charm.machine import Machine

PAUSE = 3
"""Seconds between two looks at a cluster that is moving data."""


class UnsafeToRemoveError(Exception):
    """Data would be lost; Juju retries the hook until it is safe, or an operator forces it."""


def empty(machine: Machine, admin: Admin, numbers: list[int], report: Callable[[str], None]) -> None:
    """Move all data off OSDs, and return when each could be destroyed without a copy less.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    begin(admin, numbers)
    while not is_safe_to_destroy(admin, numbers):
        usage = admin.command("status")["pgmap"]
        left = usage.get("misplaced_objects", 0) + usage.get("degraded_objects", 0)
        report(f"data is moving off OSDs {_names(numbers)}: {left} objects to go")
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


def take_back(admin: Admin, uuids: Collection[str]) -> list[int]:
    """Give OSDs that are being drained the CRUSH weights that they had; return their numbers.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    weights = _weights(admin)
    found: list[int] = []
    for osd in admin.command("osd dump")["osds"]:
        if osd["uuid"] not in uuids or weights.get(osd["osd"]) != 0:
            continue
        before = _kept(admin, _weight(osd["uuid"]))
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


def remove(
    ceph: Ceph, uuids: Iterable[str], report: Callable[[str], None], *, zap: bool, keep_number: bool = False
) -> list[str]:
    """Drain OSDs of this machine, known by their uuids, and take them out of the cluster.

    Returns:
        What could not be erased, a sentence each; its OSD is out nevertheless.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    phases = {"in", "leaving", "destroyed"}
    leaving = [osd for osd in map(ceph.osds.get, uuids) if osd and osd.phase in phases]
    # A number that another OSD has now is not theirs, and what is destroyed holds nothing.
    known = [osd for osd in leaving if ceph.osds.is_known(osd)]
    empty(ceph.machine, ceph.admin, [osd.number for osd in known], report)
    left: list[str] = []
    for osd in leaving:
        while osd in known and not is_ok_to_stop(ceph.admin, [osd.number]):
            report(f"waiting until the cluster can do without osd.{osd.number}")
            ceph.machine.sleep(PAUSE)
        if osd in known:
            ceph.admin.command("osd out", ids=[str(osd.number)])
        try:
            ceph.osds.remove(osd, ceph.services, zap=zap, keep_number=keep_number)
        except DiskError as error:
            left.append(str(error))
        report(f"osd.{osd.number} is out")
    return left


def forget_osds(machine: Machine, admin: Admin, unit: str, host: str, report: Callable[[str], None]) -> None:
    """Take the OSDs of a unit whose machine is gone for good out of the cluster, and the machine's place in CRUSH.

    They are those that the cluster has on record as the unit's. They are purged only when what they held is elsewhere in
    full again, running ones too: an operator may have given a unit up whose machine stays. A new machine may have the old one's name by then: its OSDs stay, and so does the place.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    uuids = claimed(admin, unit)
    numbers = _numbers(admin, uuids)
    if numbers:
        admin.command("osd out", ids=[str(number) for number in numbers])
        needs = f"data of {host} are made anew; they need OSDs on as many machines as there are copies"
        empty(machine, admin, numbers, lambda progress: report(f"{needs}; {progress}"))
    # In the meantime somebody else may have taken them out, and a number be another OSD's.
    for number in _numbers(admin, uuids):
        # Where the unit was given up, and not its machine, it runs on, and would be up again before it is purged.
        admin.command("osd set-group", flags="noup", who=[f"osd.{number}"])
        admin.command("osd down", ids=[str(number)], definitely_dead=True)
        # Where nobody says that it is really meant, the manager asks once more whether it is safe.
        admin.manager_command("osd purge", id=number)
    nodes = admin.command("osd tree")["nodes"]
    bucket = next((node for node in nodes if (node["type"], node["name"]) == ("host", host)), None)
    if bucket and not bucket.get("children"):
        admin.command("osd crush rm", name=host)
    admin.command("config-key rm", key=_claim(unit))


def claim(admin: Admin, unit: str, uuids: Iterable[str]) -> None:
    """Have the cluster keep on record which OSDs are a unit's; a unit's name and a uuid are never given again.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    admin.command("config-key set", key=_claim(unit), val=json.dumps(sorted(uuids)))


def claimed(admin: Admin, unit: str) -> list[str]:
    """Return the uuids of the OSDs that the cluster has on record as a unit's.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    return _kept(admin, _claim(unit)) or []


def _kept(admin: Admin, key: str) -> Any:
    """Return what the cluster keeps under a key; None if it keeps nothing."""
    try:
        return admin.command("config-key get", key=key)
    except CommandRefusedError:
        return None


def _claim(unit: str) -> str:
    return f"openinfra/osds/{unit}"


def _numbers(admin: Admin, uuids: Collection[str]) -> list[int]:
    return sorted(entry["osd"] for entry in admin.command("osd dump")["osds"] if entry["uuid"] in uuids)


def leave(ceph: Ceph, report: Callable[[str], None]) -> list[str]:
    """Take this machine out of the cluster while it lives: its OSDs first, then its place in CRUSH.

    Returns:
        What could not be erased, a sentence each.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    left = remove(ceph, ceph.osds.uuids(), report, zap=True)
    host = ceph.monitor.name
    if any(node["name"] == host for node in ceph.admin.command("osd tree")["nodes"]):
        ceph.admin.command("osd crush rm", name=host)
    return left


def wait_until_clean(ceph: Ceph, report: Callable[[str], None]) -> None:
    """Return when every placement group has all its copies.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    while not health.is_clean(ceph.admin.command("status")):
        report("data is being repaired")
        ceph.machine.sleep(PAUSE)


def _names(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
