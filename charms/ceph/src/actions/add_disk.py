"""Make OSDs of empty block devices, or of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import disk
import parts
from actions import check_unused, cluster_errors
from admin import UnreachableError
from openinfra_charm.model.actions import ActionError, Outcome, failing_on, size
from openinfra_charm.values import split
from state import Settings

if TYPE_CHECKING:
    from charm import CephCharm


UP_SECONDS = 20
"""How long the action waits for new OSDs to be in service."""


def add_disk(
    charm: CephCharm,
    *,
    osd_devices: str,
    db_devices: str = "",
    wal_devices: str = "",
    db_size: str = "",
    wal_size: str = "",
    device_class: str = "",
    wipe: bool = False,
    confirm: str = "",
) -> Outcome:
    """Make an OSD of each device; one that fails leaves the others done.

    Raises:
        ActionError: The request contradicts itself (nothing has changed), or a device could not be used (the
            message names each).
    """
    settings = Settings.parse(charm.config)
    names, db_names, wal_names = (split(text) for text in (osd_devices, db_devices, wal_devices))
    _check(names, db_names, wal_names, wipe=wipe, confirm=confirm)
    if charm.identities.current is None or not charm.cluster.shared.get("monitors"):
        raise ActionError("the cluster is not founded yet; wait until the unit is active")
    with cluster_errors():
        charm.ceph.admin.command("quorum_status")
    faster = {
        "block.db": _spread(charm, db_names, len(names), size("db-size", db_size), wipe=wipe),
        "block.wal": _spread(charm, wal_names, len(names), size("wal-size", wal_size), wipe=wipe),
    }
    report: list[dict[str, Any]] = []
    for index, name in enumerate(names):
        places = {link: found[index] for link, found in faster.items() if found}
        report.append(_add(charm, name, places, device_class, wipe=wipe))
    if any(entry["state"] == "made" for entry in report):
        charm.ceph.apply()
        with cluster_errors():
            _note_who_is_up(charm, report)
            charm.publish_osds()
            charm.related_daemons.answer(settings)
    words = "; ".join(entry["message"] for entry in report)
    if any(entry["state"] in {"refused", "failed"} for entry in report):
        raise ActionError(words)
    return Outcome(summary=words, result=report)


def _spread(
    charm: CephCharm, names: tuple[str, ...], count: int, wanted: int, *, wipe: bool
) -> list[tuple[str, int]]:
    """Return where the databases or logs of so many OSDs go: a device for each, and the size of the part of it; 0: all.

    Fewer devices than OSDs are shared, as evenly as can be.

    Raises:
        ActionError: A device that is to be shared cannot be.
    """
    if len(names) == count and not wanted:
        return [(name, 0) for name in names]
    chosen = [names[index % len(names)] for index in range(count)] if names else []
    sizes: dict[str, int] = {}
    for name in names:
        with failing_on(disk.DiskError):
            path = disk.find(charm.machine, name)
            if wipe:
                check_unused(charm.ceph, name, path)
                disk.erase(charm.machine, path)
            sizes[name] = parts.share(charm.machine, path, chosen.count(name), wanted)
    return [(name, sizes[name]) for name in chosen]


def _note_who_is_up(charm: CephCharm, report: list[dict[str, Any]]) -> None:
    """Say of each new OSD whether it is in service, waiting for it as long as an action may."""
    osds = charm.ceph.osds
    new = [osd for osd in osds.all() if osd.number in {e["osd-id"] for e in report if e["state"] == "made"}]
    osds.wait_until_up(new, UP_SECONDS)
    states = charm.machine.service_states(*(osd.unit for osd in new))
    for entry in report:
        for osd in (osd for osd in new if entry["state"] == "made" and osd.number == entry["osd-id"]):
            name, see = f"{entry['device']}: ", f"see juju ssh {charm.unit.name} journalctl -u {osd.unit}"
            if osds.is_up(osd):
                entry |= {"state": "added", "message": f"{name}is osd.{osd.number} now"}
            elif states[osd.unit] in {"active", "activating"}:
                entry |= {
                    "state": "starting",
                    "message": f"{name}osd.{osd.number} is made and starts; it is not up yet, see get-health",
                }
            else:
                entry |= {
                    "state": "failed",
                    "message": f"{name}osd.{osd.number} is made, but its daemon does not run; {see}",
                }


def _check(
    names: tuple[str, ...], db_names: tuple[str, ...], wal_names: tuple[str, ...], *, wipe: bool, confirm: str
) -> None:
    if not names:
        raise ActionError("osd-devices is empty: name devices (/dev/sdb) or file:SIZE")
    devices = [name for name in (*names, *db_names, *wal_names) if not name.startswith("file:")]
    if twice := [name for name in devices if devices.count(name) > 1]:
        raise ActionError(f"{twice[0]} is named twice")
    for option, given in (("db-devices", db_names), ("wal-devices", wal_names)):
        if len(given) > len(names):
            raise ActionError(f"{option} names {len(given)} devices for {len(names)} osd-devices")
    if wipe and set(split(confirm)) != set(devices):
        raise ActionError(
            f"wipe erases all that is on {', '.join(devices)}: say so with confirm={','.join(devices)}"
        )
    if confirm and not wipe:
        raise ActionError("confirm is only for wipe=true")


def _add(
    charm: CephCharm, name: str, faster: dict[str, tuple[str, int]], device_class: str, *, wipe: bool
) -> dict[str, Any]:
    """Make an OSD of one device and report how it went."""
    osds = charm.ceph.osds
    try:
        path = name if name.startswith("file:") else disk.find(charm.machine, name)
        paths = {link: disk.find(charm.machine, where) for link, (where, _) in faster.items()}
        sizes = {link: part for link, (_, part) in faster.items() if part}
        there = None if name.startswith("file:") else osds.holder(path)
        if there and there.phase == "in":
            return {
                "device": name,
                "state": "present",
                "osd-id": there.number,
                "message": f"{name}: is osd.{there.number} already",
            }
        if wipe:
            whole = [path, *(paths[link] for link in paths if link not in sizes)]
            for device in filter(charm.machine.is_block_device, whole):
                check_unused(charm.ceph, name, device)
                disk.erase(charm.machine, device)
        osd = osds.create(
            path,
            db_device=paths.get("block.db", ""),
            wal_device=paths.get("block.wal", ""),
            parts_of=sizes,
            device_class=device_class,
        )
    except (disk.DiskError, UnreachableError, ActionError) as error:
        message = str(error) if str(error).startswith(f"{name}: ") else f"{name}: {error}"
        return {"device": name, "state": "refused", "message": message}
    return {"device": name, "state": "made", "osd-id": osd.number}
