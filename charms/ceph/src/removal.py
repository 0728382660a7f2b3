"""Taking OSDs out of the cluster for good, with or without their machine; every step may be done again after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import claims
import health
from disk import DiskError
from drain import PAUSE, empty
from safety import is_ok_to_stop

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from admin import Admin
    from ceph import Ceph
    from openinfra_charm.machine import Machine


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


def forget_osds(machine: Machine, admin: Admin, unit: str, host: str, report: Callable[[str], None]) -> None:
    """Take the OSDs of a unit whose machine is gone for good out of the cluster, and the machine's place in CRUSH.

    They are those that the cluster has on record as the unit's. They are purged only when what they held is elsewhere in
    full again, running ones too: an operator may have given a unit up whose machine stays. A new machine may have the old one's name by then: its OSDs stay, and so does the place.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    uuids = claims.read(admin, unit)
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
    claims.drop(admin, unit)


def _numbers(admin: Admin, uuids: Collection[str]) -> list[int]:
    return sorted(entry["osd"] for entry in admin.command("osd dump")["osds"] if entry["uuid"] in uuids)
