"""Keys: new ones, and of which types they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cephx
from actions import cluster_errors
from key_upgrade import TICKETS
from openinfra_charm.model import granted
from openinfra_charm.model.actions import ActionError, Outcome, require_leader
from openinfra_charm.values import split

if TYPE_CHECKING:
    from admin import Admin
    from charm import CephCharm

MOST_NAMED = 5


def rotate_key(charm: CephCharm, *, entity: str, key_type: str = "") -> Outcome:
    """Publish a new key to a Ceph user. Ceph takes the old one too until the new one has been used.

    Raises:
        ActionError: This is not the leader, nobody here uses that user, or the cluster takes no keys of that type.
    """
    require_leader(charm, f"rotate-key entity={entity}")
    related = charm.clients.users()
    with cluster_errors():
        _check_type(charm.ceph.admin, key_type)
        if entity == "client.admin":
            key = cephx.pending_key(charm.ceph.admin, entity, key_type)
            charm.identities.replace_key("admin-key", key)
        elif entity in related:
            charm.clients.rotate(related[entity], key_type)
        elif entity in charm.related_daemons.users():
            charm.related_daemons.rotate(entity, key_type)
        else:
            known = ("client.admin", *sorted(related), *charm.related_daemons.users())
            raise granted.unknown(f"entity={entity}", known)
    return Outcome(summary=f"{entity} has a new key")


def set_allowed_ciphers(charm: CephCharm, *, ciphers: str) -> Outcome:
    """Set the types of keys that the cluster takes; the older one goes only when nobody has a key of it any more.

    Raises:
        ActionError: Somebody would be locked out, these are no types, or the cluster knows only one.
    """
    wanted = split(ciphers)
    if set(wanted) not in ({cephx.AES256K}, {cephx.AES, cephx.AES256K}):
        raise ActionError(f"ciphers={ciphers!r}: expected aes256k or aes,aes256k")
    admin = charm.ceph.admin
    with cluster_errors():
        monitors: dict[str, Any] = _check_type(admin, cephx.AES256K, allowed=False)
        if cephx.AES not in wanted:
            if why := _why_not_to_narrow(admin):
                raise ActionError(f"{why}; nothing was changed")
            if monitors["auth_preferred_cipher"]["name"] != cephx.AES256K:
                admin.command("mon set", name="auth_preferred_cipher", value=cephx.AES256K)
        admin.command("mon set", name="auth_allowed_ciphers", value=",".join(sorted(wanted)))
    return Outcome(summary=f"the cluster takes keys of the type {' and '.join(sorted(wanted))}")


def _check_type(admin: Admin, key_type: str, *, allowed: bool = True) -> dict[str, Any]:
    """See that the cluster knows keys of a type (empty: any will do), and `allowed`: takes them; return its monitor map.

    Raises:
        ActionError: It does not.
    """
    found: dict[str, Any] = admin.command("mon dump")
    if not key_type:
        return found
    if "auth_allowed_ciphers" not in found and key_type != cephx.AES:
        raise ActionError(f"{key_type}: this version of Ceph knows no keys but those of the type {cephx.AES}")
    taken = [cipher["name"] for cipher in found.get("auth_allowed_ciphers", [{"name": cephx.AES}])]
    if allowed and key_type not in taken:
        raise ActionError(
            f"key-type={key_type}: the cluster takes {', '.join(taken)}; see set-allowed-ciphers"
        )
    return found


def _why_not_to_narrow(admin: Admin) -> str | None:
    found = {entry["entity"]: entry["key"] for entry in admin.command("auth ls")["auth_dump"]}
    found["mon."] = admin.command("auth get", entity="mon.")[0]["key"]
    old = sorted(entity for entity, key in found.items() if cephx.is_old(key))
    if old:
        named = old[:MOST_NAMED]
        names = ", ".join(named) + (f" and {len(old) - MOST_NAMED} more" if old[MOST_NAMED:] else "")
        if all("pending_key" in admin.command("auth get", entity=entity)[0] for entity in named):
            # Monitors note some seconds later that a new key was used (Ceph: src/mon/AuthMonitor.cc, `tick`).
            return f"{names}: the new key is not in use yet; try again in a minute"
        return (
            f"{names} would be locked out, with keys of the type aes: rotate-key entity=... key-type=aes256k"
        )
    if TICKETS in admin.command("status")["health"]["checks"]:
        return "the daemons' keys are being replaced: wait until get-health shows no AUTH_INSECURE_SERVICE_TICKETS"
    return None
