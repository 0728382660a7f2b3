"""Give a Ceph user a new key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cephx
import daemons
from actions import check_key_type, cluster
from openinfra_charm.model import granted
from openinfra_charm.model.actions import ActionError, Outcome, require_leader
from openinfra_charm.model.secrets import Own
from state import CLUSTER_KEYS

if TYPE_CHECKING:
    from charm import CephCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    entity: str
    key_type: str = ""


def run(charm: CephCharm, params: Params) -> Outcome:
    """Publish a new key. Ceph takes the old one too until the new one has been used.

    Raises:
        ActionError: This is not the leader, nobody here uses that user, or the cluster takes no keys of that type.
    """
    require_leader(charm, f"rotate-key entity={params.entity}")
    related = charm.clients.users()
    with cluster():
        check_key_type(charm.ceph.admin, params.key_type)
        if params.entity == "client.admin":
            _rotate_admin(charm, params.key_type)
        elif params.entity in related:
            charm.clients.rotate(related[params.entity], params.key_type)
        elif params.entity in daemons.known(charm):
            daemons.rotate(charm, params.entity, params.key_type)
        else:
            known = ("client.admin", *sorted(related), *daemons.known(charm))
            raise ActionError(str(granted.unknown(f"entity={params.entity}", known)))
    return Outcome(summary=f"{params.entity} has a new key")


def _rotate_admin(charm: CephCharm, key_type: str) -> None:
    """Put the administrator's new key into the units' common secret; each takes it up in its next hook."""
    key = cephx.pending_key(charm.ceph.admin, "client.admin", key_type)
    secret = Own(charm.model, charm.app, CLUSTER_KEYS)
    secret.put({**secret.read(), "admin-key": key})
