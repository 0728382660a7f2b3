"""Make OSDs of empty block devices, or of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import daemons
import disk
from actions import cluster
from admin import CommandRefusedError, UnreachableError
from openinfra_charm.actions import ActionError, Outcome
from openinfra_charm.machine import CommandError
from openinfra_charm.values import split
from state import Config, Settings

if TYPE_CHECKING:
    from charm import CephCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    osd_devices: str
    db_devices: str = ""
    device_class: str = ""
    wipe: bool = False
    confirm: str = ""


def run(charm: CephCharm, params: Params) -> Outcome:
    """Make an OSD of each device; one that fails leaves the others done.

    Raises:
        ActionError: The request contradicts itself (nothing has changed), or a device could not be used (the
            message tells of each).
    """
    settings = Settings.parse(charm.load_config(Config))
    names, db_names = split(params.osd_devices), split(params.db_devices)
    _check(params, names, db_names)
    if charm.identity is None or not charm.cluster.shared.get("monitors"):
        raise ActionError("the cluster is not founded yet; wait until the unit is active")
    with cluster():
        charm.ceph.admin.command("quorum_status")
    report = [
        _add(charm, params, name, db_names[index] if db_names else "") for index, name in enumerate(names)
    ]
    charm.ceph.apply()
    with cluster():
        daemons.serve(charm, settings)
    words = "; ".join(entry["message"] for entry in report)
    if any(entry["state"] == "refused" for entry in report):
        raise ActionError(words)
    return Outcome(summary=words, result=report)


def _check(params: Params, names: tuple[str, ...], db_names: tuple[str, ...]) -> None:
    if not names:
        raise ActionError("osd-devices is empty: name devices (/dev/sdb) or file:SIZE")
    devices = [name for name in names if not name.startswith("file:")]
    if twice := [name for name in devices if devices.count(name) > 1]:
        raise ActionError(f"{twice[0]} is named twice in osd-devices")
    if db_names and len(db_names) != len(names):
        raise ActionError(
            f"db-devices names {len(db_names)} devices for {len(names)} osd-devices: one for each is needed"
        )
    if params.wipe and set(split(params.confirm)) != {*devices, *db_names}:
        raise ActionError(
            f"wipe erases all that is on {params.osd_devices}: say so with confirm={params.osd_devices}"
        )
    if params.confirm and not params.wipe:
        raise ActionError("confirm is only for wipe=true")


def _add(charm: CephCharm, params: Params, name: str, db_name: str) -> dict[str, Any]:
    """Add one device and tell how it went."""
    osds = charm.ceph.osds
    try:
        path = name if name.startswith("file:") else disk.find(charm.machine, name)
        db_path = disk.find(charm.machine, db_name) if db_name else ""
        if not name.startswith("file:") and (there := osds.holder(path)):
            return {
                "device": name,
                "state": "present",
                "osd-id": there.number,
                "message": f"{name}: is osd.{there.number} already",
            }
        if params.wipe:
            for device in filter(charm.machine.is_block_device, (path, db_path)):
                disk.erase(charm.machine, device)
        osd = osds.create(path, db_device=db_path, device_class=params.device_class)
    except (disk.DiskError, UnreachableError, CommandRefusedError, CommandError) as error:
        message = str(error) if str(error).startswith(f"{name}: ") else f"{name}: {error}"
        return {"device": name, "state": "refused", "message": message}
    message = f"{name}: is osd.{osd.number} now"
    return {"device": name, "state": "added", "osd-id": osd.number, "message": message}
