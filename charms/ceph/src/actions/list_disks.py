"""List this unit's OSDs and block devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import disk
from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CephCharm
    from osd import Osd

__all__ = ["Params", "run"]


def run(charm: CephCharm, _params: Params) -> Outcome:
    """Tell which devices are OSDs, which could become one, and why others could not.

    What is an OSD is told by the labels as they are now. An OSD of which no device is found, or none that can be read,
    is listed without one.
    """
    osds = charm.ceph.osds.all()
    places = {osd.uuid: charm.ceph.osds.media(osd) for osd in osds}
    holders = {path: osd.number for osd in osds for path in places[osd.uuid].values()}
    devices = [_device(charm, listed, holders) for listed in disk.list_devices(charm.machine)]
    usable = sum(not device["not-usable-because"] and device["osd-id"] is None for device in devices)
    summary = f"{len(osds)} OSDs; {usable} of {len(devices)} block devices are empty and could be added"
    lost = [osd.number for osd in osds if "block" not in places[osd.uuid]]
    if lost:
        summary += f"; without a device that can be read: {', '.join(f'osd.{number}' for number in lost)}"
    told = [_osd(osd, places[osd.uuid]) for osd in osds]
    return Outcome(summary=summary, result={"osds": told, "devices": devices})


def _osd(osd: Osd, places: dict[str, str]) -> dict[str, Any]:
    return {
        "number": osd.number,
        "uuid": osd.uuid,
        "device": places.get("block", ""),
        "db-device": places.get("block.db", ""),
        "wal-device": places.get("block.wal", ""),
        "known-as": list(osd.names.values()),
    }


def _device(charm: CephCharm, listed: dict[str, Any], holders: dict[str, int]) -> dict[str, Any]:
    path = listed["path"]
    number = holders.get(path)
    return {
        "path": path,
        "known-as": disk.lasting_name(charm.machine, path),
        "size-bytes": listed["size"],
        "model": (listed["model"] or "").strip(),
        "rotational": listed["rota"],
        "osd-id": number,
        "not-usable-because": [] if number is not None else disk.objections(charm.machine, path),
    }
