"""Work on disks, machines and packages that takes longer than a hook may: a function each, which can begin again at any point."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import disk
import drain
import removal
from admin import CommandRefusedError, UnreachableError
from archive import PackagesError
from ceph import Ceph
from openinfra_charm.daemon.job import JobError, NotNowError
from releases import major_of
from safety import is_ok_to_stop
from source import Source

if TYPE_CHECKING:
    from collections.abc import Generator

    from openinfra_charm.daemon.job import Job
    from osd_records import Osd

UP_SECONDS = 300
"""How long a new OSD may take until it serves."""


@contextmanager
def _reported() -> Generator[None]:
    """End the job with what the cluster and devices say, or put it off where the monitors do not answer."""
    try:
        yield
    except UnreachableError as error:
        raise NotNowError(str(error)) from error
    except (CommandRefusedError, disk.DiskError, PackagesError) as error:
        raise JobError(str(error)) from error


def forget_machines(job: Job, unit: str, host: str) -> str:
    """Take the OSDs of `unit`, whose machine had the name `host`, out of the cluster; their data are made anew first.

    Raises:
        JobError: The cluster refuses it.
    """
    ceph = Ceph(job.machine, job.application)
    with _reported():
        removal.forget_osds(ceph.machine, ceph.admin, unit, host, job.report)
    return f"{unit} on {host}: out of the cluster"


def go_on_alone(job: Job, hosts: str) -> str:
    """Let this monitor go on without those of machines that are gone (comma-separated names), if it is the only one left.

    Raises:
        JobError: There are other monitors, without which it cannot.
    """
    ceph = Ceph(job.machine, job.application)
    ceph.monitor.go_on_alone(hosts.split(","))
    if not ceph.monitor.in_quorum():
        raise JobError(f"without the monitors of {hosts} too few are left: start the machines of the others")
    return "this machine's monitor is in quorum"


def prepare_removal(job: Job) -> str:
    """Drain and remove all OSDs of this machine.

    Raises:
        JobError: The cluster refuses it.
    """
    ceph = Ceph(job.machine, job.application)
    with _reported():
        left = removal.leave(ceph, job.report)
        removal.wait_until_clean(ceph, job.report)
    return "; ".join(["no data are left on this machine: its unit can be removed", *left])


def remove_disk(job: Job, osds: str, names: str, zap: str) -> str:
    """Drain OSDs of this machine and take them out of the cluster.

    Args:
        job: Where, and how far.
        osds: Their uuids, comma-separated: numbers are given again.
        names: What they are called, for people.
        zap: Whether to erase their devices: `yes`.

    Raises:
        JobError: A device could not be erased, or the cluster refuses it.
    """
    ceph = Ceph(job.machine, job.application)
    with _reported():
        left = removal.remove(ceph, osds.split(","), job.report, zap=zap == "yes")
    if left:
        raise JobError("; ".join(left))
    return f"OSDs {names} are out of the cluster"


def replace_disk(job: Job, old: str, new: str, device: str, weight: str) -> str:
    """Give an OSD's number, its place in CRUSH and its weight to a new OSD on `device`.

    An OSD that runs is drained first. One whose disk has died cannot be: it is replaced as soon as all data are
    available without it, and the cluster makes the missing copies on the new device.

    Args:
        job: Where, and how far.
        old: The uuid of the OSD that goes.
        new: The uuid that the new one gets: whoever begins again knows by it how far this was.
        device: The new, empty device.
        weight: What the new OSD weighs in CRUSH.

    Raises:
        JobError: The device cannot be used, the cluster refuses it, or the new OSD does not come up.
    """
    ceph = Ceph(job.machine, job.application)
    with _reported():
        osd = ceph.osds.get(new)
        if osd is None or osd.phase == "making":
            osd = _replace(ceph, job, old, new, device)
        ceph.apply()
        ceph.admin.command("osd in", ids=[str(osd.number)])
        job.report(f"osd.{osd.number} is made on {device}, and starts")
        if not ceph.osds.wait_until_up([osd], UP_SECONDS):
            raise JobError(
                f"osd.{osd.number} is made on {device}, but is not up after {UP_SECONDS} s: see journalctl -u {osd.unit}"
            )
        ceph.admin.command("osd crush reweight", name=f"osd.{osd.number}", weight=float(weight))
    return f"osd.{osd.number} is on {device} now"


def _replace(ceph: Ceph, job: Job, old: str, new: str, device: str) -> Osd:
    osd = ceph.osds.get(old)
    if osd is None or osd.phase == "removed":
        raise JobError(f"OSD {old} is not here any more; see list-disks")
    ceph.osds.clean_up(keep=osd.number)
    if not device.startswith("file:"):
        # Before anything is given up for it.
        disk.check_empty(ceph.machine, disk.find(ceph.machine, device))
    if osd.phase != "destroyed":
        _take_out(ceph, job, osd)
    job.report(f"making osd.{osd.number} on {device}")
    path = device if device.startswith("file:") else disk.find(ceph.machine, device)
    return ceph.osds.create(path, number=osd.number, identity=new)


def _take_out(ceph: Ceph, job: Job, osd: Osd) -> None:
    if ceph.machine.service_states(osd.unit)[osd.unit] == "active":
        removal.remove(ceph, [osd.uuid], job.report, zap=False, keep_number=True)
        return
    while not is_ok_to_stop(ceph.admin, [osd.number]):
        job.report(f"waiting until all data are available without osd.{osd.number}")
        job.machine.sleep(drain.PAUSE)
    ceph.osds.remove(osd, ceph.services, zap=False, keep_number=True)


def upgrade_packages(job: Job, line: str, key: str, series: str) -> str:
    """Upgrade Ceph's packages to what a source (`source.Source`) has; no daemon is restarted.

    Raises:
        JobError: They cannot come from there.
    """
    ceph = Ceph(job.machine, job.application)
    required = ceph.packages.required
    with _reported():
        if required is None:
            required = major_of(ceph.admin.command("osd dump")["require_osd_release"])
        version = ceph.packages.upgrade(Source(line=line, key=key, series=series), required, job.report)
    return f"Ceph {version} is installed; its daemons are restarted in turn"
