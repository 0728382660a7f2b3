"""Erase block devices that no OSD uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import disk
from actions import check_unused
from openinfra_charm.model.actions import ActionError, Outcome
from openinfra_charm.values import split

if TYPE_CHECKING:
    from charm import CephCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    devices: str
    confirm: str


def run(charm: CephCharm, params: Params) -> Outcome:
    """Erase each device and make sure that nothing is left.

    Raises:
        ActionError: The devices were not confirmed, or one is missing, in use or an OSD (nothing was erased); or
            one could not be erased in full.
    """
    names = split(params.devices)
    if not names or names != split(params.confirm):
        raise ActionError(f"all data on {params.devices} would be lost: say so with confirm={params.devices}")
    try:
        paths = [disk.find(charm.machine, name) for name in names]
        for name, path in zip(names, paths, strict=True):
            check_unused(charm.ceph, name, path)
            if not charm.machine.open_exclusively(path):
                raise ActionError(f"{name} is in use; stop what holds it first")
        for path in paths:
            disk.erase(charm.machine, path)
    except disk.DiskError as error:
        raise ActionError(str(error)) from error
    return Outcome(summary=f"erased and verified: {', '.join(names)}")
