"""What clients may ask for in a broker request: pools and file systems."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import filesystems
import pools
from admin import CommandRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from admin import Admin
    from openinfra_charm.interfaces.ceph_client import Request


class RefusedError(Exception):
    """An operation that a client cannot have; the message is the answer that it gets."""


def carry_out(request: Request, handlers: Mapping[str, Callable[[Mapping[str, Any]], None]]) -> str | None:
    """Carry a request's operations out, each by the handler of its name; return why it could not be, if so."""
    try:
        for operation in request.operations:
            kind = operation.get("op")
            handler = handlers.get(str(kind))
            if handler is None:
                return f"unknown operation {kind!r}; known are {', '.join(handlers)}"
            handler(operation)
    except (CommandRefusedError, RefusedError, filesystems.OtherPoolsError) as error:
        return str(error)
    except KeyError as error:
        return f"an operation lacks {error}"
    except (AttributeError, TypeError, ValueError) as error:
        return f"an operation has a value that cannot be used: {error}"
    return None


def make_user(admin: Admin, entity: str, caps: list[str], key_type: str = "") -> str:
    """Make a Ceph user, with a key of this type or that of the cluster, and return it; one that is there keeps the rights it has."""
    try:
        answer = admin.command("auth get", entity=entity)
    except CommandRefusedError as error:
        if error.code != errno.ENOENT:
            raise
        wanted = {"key_type": key_type} if key_type else {}
        answer = admin.command("auth get-or-create", entity=entity, caps=caps, **wanted)
    return answer[0]["key"]


def create_pool(admin: Admin, operation: Mapping[str, Any]) -> bool:
    """Make a pool unless it is there, `create-pool`; return whether it was made."""
    return pools.create_pool(
        admin,
        str(operation["name"]),
        replicas=int(operation.get("replicas") or 0),
        pg_num=int(operation.get("pg_num") or 0),
        application=str(operation.get("app-name") or "unknown"),
        device_class=str(operation.get("device-class") or ""),
    )


def fit_pool(admin: Admin, operation: Mapping[str, Any]) -> None:
    """Give a pool that is there the copies and the disks that `create-pool` names now."""
    pools.fit_pool(
        admin,
        str(operation["name"]),
        replicas=int(operation.get("replicas") or 0),
        device_class=str(operation.get("device-class") or ""),
    )


def create_filesystem(admin: Admin, operation: Mapping[str, Any]) -> None:
    """Make a file system on pools that are there, or set what has changed of it, `create-cephfs`."""
    filesystems.make(
        admin,
        str(operation["mds_name"]),
        metadata_pool=str(operation["metadata_pool"]),
        data_pool=str(operation["data_pool"]),
        active=int(operation.get("max_mds") or 1),
        standby_replay=bool(operation.get("standby_replay")),
    )
