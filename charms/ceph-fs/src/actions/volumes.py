"""Volumes, and the keys to them."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from actions import cluster, existing
from openinfra_charm.model.actions import ActionError, Outcome
from openinfra_charm.model.actions import size as parse_size

if TYPE_CHECKING:
    from charm import CephFsCharm

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def create_volume(charm: CephFsCharm, *, name: str, size: str = "") -> Outcome:
    """Make a volume, and return its path.

    Raises:
        ActionError: The name or the size cannot be used, or the name is taken (nothing has changed); or Ceph refuses.
    """
    _check("name", name)
    limit = parse_size("size", size)
    with cluster(charm):
        if name in charm.mds.admin.volumes():
            raise ActionError(f"there is a volume {name} already; see list-volumes")
        charm.mds.admin.create_volume(name, limit)
        volume = charm.mds.admin.volume(name)
    return Outcome(
        summary=f"volume {name} is made; make a key to it with authorize",
        result={"path": volume.path if volume else ""},
    )


def list_volumes(charm: CephFsCharm) -> Outcome:
    """Return each volume with its path, size, limit and users.

    Raises:
        ActionError: Ceph does not answer.
    """
    with cluster(charm):
        found = [charm.mds.admin.volume(name) for name in charm.mds.admin.volumes()]
    volumes = [asdict(volume) for volume in found if volume]
    return Outcome(summary=f"{len(volumes)} volumes" if len(volumes) != 1 else "1 volume", result=volumes)


def set_quota(charm: CephFsCharm, *, name: str, size: str = "") -> Outcome:
    """Set or lift a volume's limit.

    Raises:
        ActionError: There is no such volume, or the size is none (nothing has changed); or Ceph does not answer.
    """
    limit = parse_size("size", size)
    with cluster(charm):
        existing(charm, name)
        charm.mds.admin.resize_volume(name, limit)
    return Outcome(summary=f"{name} may hold {size or 'any amount'}")


def delete_volume(charm: CephFsCharm, *, name: str, dry_run: bool = True) -> Outcome:
    """Delete a volume with all that is in it, and the keys to it.

    Raises:
        ActionError: There is no such volume (nothing has changed), or Ceph does not do it.
    """
    with cluster(charm):
        volume = existing(charm, name)
        keys = ", ".join(f"client.{user}" for user in sorted(volume.clients)) or "nobody"
        what = f"{volume.used} bytes in {name}, which {keys} may use"
        if dry_run:
            return Outcome(summary=f"{what}, would be lost; set dry-run=false to do it")
        charm.mds.admin.delete_volume(volume)
    return Outcome(summary=f"volume {name} is deleted")


def authorize(charm: CephFsCharm, *, volume: str, client: str, access: Literal["rw", "r"] = "rw") -> Outcome:
    """Make a key that is good for this volume only; it is in the result, and nowhere else outside Ceph.

    Raises:
        ActionError: There is no such volume, or a client of that name that was made otherwise (nothing has changed); or
            Ceph does not answer.
    """
    _check("client", client)
    with cluster(charm):
        path = existing(charm, volume).path
        key = charm.mds.admin.authorize(volume, client, access)
    result = {
        "key": key, "user": f"client.{client}", "path": path, "filesystem": charm.app.name,
        "monitors": list(charm.mds.monitors), "fsid": charm.mds.fsid,
    }  # fmt: skip
    return Outcome(summary=f"client.{client} may use {volume} ({access})", result=result)


def deauthorize(charm: CephFsCharm, *, volume: str, client: str) -> Outcome:
    """Take a client's right to a volume, and cut it off where it uses it; its key goes with its last volume.

    Raises:
        ActionError: There is no such volume, or the client may not use it (nothing has changed); or Ceph does not answer.
    """
    with cluster(charm):
        if client not in existing(charm, volume).clients:
            raise ActionError(f"client.{client} may not use {volume}; see list-volumes")
        charm.mds.admin.deauthorize(volume, client)
    return Outcome(summary=f"client.{client} may no longer use {volume}")


def _check(parameter: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ActionError(f"{parameter}={name}: expected letters, digits, . _ and -, at most 64")
