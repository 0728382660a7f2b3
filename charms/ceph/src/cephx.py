"""CephX keys: of which type they are, and new ones. Ceph makes them itself, of the type that its version prefers.

A key is the base64 of its type, its time of creation, its length and its secret (Ceph: src/auth/Crypto.cc). Until Ceph 19.2.5
and 20.2.3 all are of the type `aes`; later versions have `aes256k` too (CVE-2025-30156), and new clusters of these let nobody
in with a key of the older type.
"""

from __future__ import annotations

import base64
import re
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from admin import Admin
    from openinfra_charm.machine import Machine

AES, AES256K = "aes", "aes256k"
_TYPES = {1: AES, 2: AES256K}


def new_key(machine: Machine) -> str:
    """Return a new key, of the type that new clusters of the installed version take."""
    return machine.run("ceph-authtool", "--gen-print-key").stdout.strip()


def type_of(key: str) -> str:
    """Return the type of a key as Ceph calls it: `aes` or `aes256k`."""
    (kind,) = struct.unpack_from("<H", base64.b64decode(key))
    return _TYPES.get(kind, str(kind))


def is_old(key: str) -> bool:
    """Return whether there is a key, and it is of the older type."""
    return bool(key) and type_of(key) == AES


def read(machine: Machine, path: str) -> str:
    """Return the key in the keyring of one user; empty where there is none."""
    found = re.search(r"^\s*key = (\S+)$", machine.read(path) or "", re.MULTILINE)
    return found[1] if found else ""


def write(machine: Machine, path: str, entity: str, key: str, caps: Mapping[str, str] | None = None) -> None:
    """Write the keyring of one user for Ceph's daemons."""
    rights = "".join(f'\tcaps {part} = "{words}"\n' for part, words in (caps or {}).items())
    text = f"[{entity}]\n\tkey = {key}\n{rights}"
    machine.write(path, text, mode=0o600, user="ceph", group="ceph")


def service_type(admin: Admin) -> dict[str, Any]:
    """Return the argument for a command that makes the key of a monitor, a manager or an OSD.

    The cluster's preferred type is for clients. What its daemons read is what its tickets for them are of; an earlier
    version has no choice.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    cipher = admin.command("mon dump").get("auth_service_cipher")
    return {"key_type": cipher["name"]} if cipher else {}


def takes(admin: Admin, key_type: str) -> bool:
    """Return whether the cluster lets users in with keys of a type.

    Raises:
        UnreachableError: The monitors do not answer.
    """
    known = admin.command("mon dump").get("auth_allowed_ciphers", [{"name": AES}])
    return key_type in {cipher["name"] for cipher in known}


def pending_key(admin: Admin, entity: str, key_type: str = "") -> str:
    """Return the key that takes a user's place when it is first used; until then Ceph takes both.

    Args:
        admin: The cluster.
        entity: The Ceph user.
        key_type: The new key's type; empty: that which the cluster prefers, or that of the key which is pending already.

    Raises:
        CommandRefusedError: The cluster makes no such keys.
        UnreachableError: The monitors do not answer.
    """
    wanted = {"key_type": key_type} if key_type else {}
    key = admin.command("auth get-or-create-pending", entity=entity, **wanted)[0]["pending_key"]
    if key_type and type_of(key) != key_type:
        admin.command("auth clear-pending", entity=entity)
        key = admin.command("auth get-or-create-pending", entity=entity, **wanted)[0]["pending_key"]
    return key
