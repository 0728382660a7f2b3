"""List this unit's OSDs and block devices."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import disk
from openinfra_charm.actions import NoParams as Params
from openinfra_charm.actions import Outcome

if TYPE_CHECKING:
    from charm import CephCharm

__all__ = ["Params", "run"]


def run(charm: CephCharm, _params: Params) -> Outcome:
    """Tell which devices are OSDs, which could become one, and why others could not."""
    osds = charm.ceph.osds.all()
    devices = [
        {
            "path": device["path"],
            "size-bytes": device["size"],
            "model": (device["model"] or "").strip(),
            "rotational": device["rota"],
            "osd-id": holder.number if (holder := charm.ceph.osds.holder(device["path"])) else None,
            "not-usable-because": [] if holder else disk.objections(charm.machine, device["path"]),
        }
        for device in disk.list_devices(charm.machine)
    ]
    usable = sum(not device["not-usable-because"] and device["osd-id"] is None for device in devices)
    return Outcome(
        summary=f"{len(osds)} OSDs; {usable} of {len(devices)} block devices are empty and could be added",
        result={"osds": [dataclasses.asdict(osd) for osd in osds], "devices": devices},
    )
