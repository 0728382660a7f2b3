"""The charm's actions; what they have in common is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import crush
import disk
import health
import parts
from admin import CommandRefusedError, UnreachableError
from openinfra_charm.model.actions import ActionError, failing_on
from openinfra_charm.values import split

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from admin import Admin
    from ceph import Ceph
    from charm import CephCharm
    from osd_records import Osd

SETTLE_SECONDS = 20
"""How long an action waits for placement groups to serve."""


def cluster_errors() -> AbstractContextManager[None]:
    """Turn what the cluster says into the action's failure.

    Raises:
        ActionError: The monitors do not answer, or refused a command.
    """
    return failing_on(UnreachableError, CommandRefusedError)


def osd_numbers(text: str) -> list[int]:
    """Return the OSD numbers that a list names.

    Raises:
        ActionError: It is empty, or something in it is no number.
    """
    names = [name.removeprefix("osd.") for name in split(text)]
    if not names or not all(name.isdecimal() for name in names):
        raise ActionError(f"osd-ids={text!r}: expected OSD numbers, comma-separated, such as 0,4")
    return sorted({int(name) for name in names})


def existing(admin: Admin, numbers: list[int]) -> list[int]:
    """Return the numbers, all of which are OSDs of the cluster.

    Raises:
        ActionError: One is not.
    """
    known = admin.command("osd ls")
    if missing := [number for number in numbers if number not in known]:
        raise ActionError(f"there is no osd.{missing[0]} in the cluster; there are {known}")
    return numbers


def local(charm: CephCharm, numbers: list[int]) -> list[Osd]:
    """Return this unit's OSDs with these numbers.

    Raises:
        ActionError: One is not this unit's.
    """
    found = [charm.ceph.osds.find(number) for number in numbers]
    if missing := [number for number, osd in zip(numbers, found, strict=True) if osd is None]:
        here = [osd.number for osd in charm.ceph.osds.all()]
        raise ActionError(
            f"osd.{missing[0]} is not an OSD of {charm.unit.name}, which has {here}; see list-disks"
        )
    return [osd for osd in found if osd]


def check_groups(ceph: Ceph, force: str) -> None:
    """Refuse to take OSDs away while a pool has placement groups that do not serve: these OSDs may hold what they lack.

    Groups that only begin to serve, as after an OSD has been added, are waited for.

    Args:
        ceph: The cluster.
        force: The pools, comma-separated, whose groups the operator gives up.

    Raises:
        ActionError: There are such groups in other pools.
    """

    def idle() -> dict[str, int]:
        return {pool: n for pool, n in health.idle_groups(ceph.admin).items() if pool not in split(force)}

    if not ceph.machine.wait_until(lambda: not idle(), SETTLE_SECONDS) and (found := idle()):
        words = ", ".join(f"{count} of pool {pool}" for pool, count in sorted(found.items()))
        raise ActionError(
            f"placement groups are inactive or stale: {words}. What they lack may be on these OSDs: bring missing OSDs back "
            f"first, see get-health; or give these groups up: force={','.join(sorted(found))}"
        )


def plan_drain(ceph: Ceph, numbers: list[int], force: str) -> crush.Move:
    """Return how much data would move off OSDs if they were drained.

    Raises:
        ActionError: The OSDs that remain cannot take it, or placement groups do not serve (`check_groups`).
    """
    check_groups(ceph, force)
    with failing_on(crush.CrushError):
        return crush.check_spare(ceph.admin, numbers)


def check_unused(ceph: Ceph, name: str, path: str) -> None:
    """Refuse to erase a device that is an OSD's, of this machine by its record or of the cluster by its label.

    Raises:
        ActionError: It is one; or it bears an OSD's label, and the monitors do not answer whether it is theirs.
        DiskError: It cannot be read.
    """
    for part in parts.of(ceph.machine, path):
        if ceph.machine.is_block_device(part["node"]):
            check_unused(ceph, part["node"], part["node"])
    if holder := ceph.osds.holder(path):
        raise ActionError(f"{name} is osd.{holder.number}: take it out first with remove-disk")
    if label := disk.read_label(ceph.machine, path):
        with cluster_errors():
            entries = ceph.admin.command("osd dump")["osds"]
        for entry in entries:
            if entry["uuid"] == label.uuid:
                raise ActionError(f"{name} is osd.{entry['osd']} of this cluster: take that out first")
