"""Say of which types the keys are that the cluster takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cephx
import keys
from actions import check_key_type, cluster
from openinfra_charm.model.actions import ActionError, Outcome
from openinfra_charm.values import split

if TYPE_CHECKING:
    from charm import CephCharm

MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    ciphers: str


def run(charm: CephCharm, params: Params) -> Outcome:
    """Set the types; the older one goes only when nobody has a key of it any more.

    Raises:
        ActionError: Somebody would be locked out, these are no types, or the cluster knows only one.
    """
    wanted = split(params.ciphers)
    if set(wanted) not in ({cephx.AES256K}, {cephx.AES, cephx.AES256K}):
        raise ActionError(f"ciphers={params.ciphers!r}: expected aes256k or aes,aes256k")
    admin = charm.ceph.admin
    with cluster():
        monitors: dict[str, Any] = check_key_type(admin, cephx.AES256K, allowed=False)
        if cephx.AES not in wanted:
            if why := _why_not_to_narrow(charm):
                raise ActionError(f"{why}; nothing was changed")
            if monitors["auth_preferred_cipher"]["name"] != cephx.AES256K:
                admin.command("mon set", name="auth_preferred_cipher", value=cephx.AES256K)
        admin.command("mon set", name="auth_allowed_ciphers", value=",".join(sorted(wanted)))
    return Outcome(summary=f"the cluster takes keys of the type {' and '.join(sorted(wanted))}")


def _why_not_to_narrow(charm: CephCharm) -> str | None:
    admin = charm.ceph.admin
    found = {entry["entity"]: entry["key"] for entry in admin.command("auth ls")["auth_dump"]}
    found["mon."] = admin.command("auth get", entity="mon.")[0]["key"]
    old = sorted(entity for entity, key in found.items() if cephx.is_old(key))
    if old:
        names = ", ".join(old[:MOST_NAMED]) + (
            f" and {len(old) - MOST_NAMED} more" if old[MOST_NAMED:] else ""
        )
        return (
            f"{names} would be locked out, with keys of the type aes: rotate-key entity=... key-type=aes256k"
        )
    if keys.TICKETS in admin.command("status")["health"]["checks"]:
        return "the daemons' keys are being replaced: wait until get-health shows no AUTH_INSECURE_SERVICE_TICKETS"
    return None
