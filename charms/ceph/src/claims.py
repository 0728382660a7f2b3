"""Which OSDs are a unit's, as the cluster has it on record: who cleans up after a unit that is gone reads it there.

A unit's name and an OSD's uuid are never given again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from admin import Admin


def record(admin: Admin, unit: str, uuids: Iterable[str]) -> None:
    """Have the cluster keep on record which OSDs are a unit's.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    admin.command("config-key set", key=_key(unit), val=json.dumps(sorted(uuids)))


def read(admin: Admin, unit: str) -> list[str]:
    """Return the uuids of the OSDs that the cluster has on record as a unit's.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    return admin.stored(_key(unit)) or []


def drop(admin: Admin, unit: str) -> None:
    """Take a unit off the record.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    admin.command("config-key rm", key=_key(unit))


def _key(unit: str) -> str:
    return f"openinfra/osds/{unit}"
