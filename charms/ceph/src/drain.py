"""Moving data off OSDs and off machines, step by step; every step may be done again after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import health
from monitor import forget_host
from osd import is_ok_to_stop, is_safe_to_destroy

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """Let data move off OSDs.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    for number in numbers:
        admin.command("osd crush reweight", name=f"osd.{number}", weight=0.0)


def remove(
    ceph: Ceph, numbers: list[int], report: Callable[[str], None], *, zap: bool, keep_number: bool = False
) -> None:
    """Drain OSDs of this machine and take them out of the cluster.

    Raises:
        UnreachableError: The monitors do not answer.
        DiskError: A device could not be erased; its OSD is out nevertheless.
    """
    present = [number for number in numbers if ceph.osds.find(number)]
    empty(ceph.machine, ceph.admin, present, report)
    for number in present:
        osd = ceph.osds.find(number)
        while not is_ok_to_stop(ceph.admin, [number]):
            report(f"waiting until the cluster can do without osd.{number}")
            ceph.machine.sleep(PAUSE)
        ceph.admin.command("osd out", ids=[str(number)])
        if osd:
            ceph.osds.remove(osd, ceph.services, zap=zap, keep_number=keep_number)
        report(f"osd.{number} is out")


def forget_machine(machine: Machine, admin: Admin, host: str, report: Callable[[str], None]) -> None:
    """Take a machine that is gone for good out of the cluster: monitor, keys, OSDs, CRUSH bucket.

    Its OSDs are purged only when what they held is elsewhere in full again.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    forget_host(admin, host)
    nodes = admin.command("osd tree")["nodes"]
    bucket = next((node for node in nodes if (node["type"], node["name"]) == ("host", host)), None)
    if bucket is None:
        return
    numbers = sorted(bucket.get("children", ()))
    if numbers:
        admin.command("osd out", ids=[str(number) for number in numbers])
        needs = f"data of {host} are made anew; they need OSDs on as many machines as there are copies"
        empty(machine, admin, numbers, lambda progress: report(f"{needs}; {progress}"))
    for number in numbers:
        # Where nobody says that it is really meant, the manager asks once more whether it is safe.
        admin.manager_command("osd purge", id=number)
    admin.command("osd crush rm", name=host)


def leave(ceph: Ceph, report: Callable[[str], None]) -> None:
    """Take this machine out of the cluster while it lives: its OSDs first, then its place in CRUSH.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    remove(ceph, [osd.number for osd in ceph.osds.all()], report, zap=True)
    host = ceph.monitor.name
    if any(node["name"] == host for node in ceph.admin.command("osd tree")["nodes"]):
        ceph.admin.command("osd crush rm", name=host)


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
