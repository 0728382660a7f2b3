"""Keys of the newer type in place of those that a cluster's own daemons have had from before it was upgraded.

Nothing is recorded: which keys are of the older type the cluster's health checks say, and the keys themselves. A daemon's new
key is pending at first: Ceph takes both until the daemon has started with the new one, so that a crash locks nobody out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cephx
import crash
from openinfra_charm.ceph.daemon import number
from openinfra_charm.model.status import RetriedStatus
from upgrade import FINISHED

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ops

    from ceph import Ceph
    from identity import Identities, Identity

SERVICES = "AUTH_INSECURE_SERVICE_KEY_TYPE"
CLIENTS = "AUTH_INSECURE_CLIENT_KEY_TYPE"
TICKETS = "AUTH_INSECURE_SERVICE_TICKETS"
"""Ceph's health checks for keys of the older type: those of daemons, those of clients, and what it seals tickets with."""
BOOTSTRAP = "client.bootstrap-"
"""How the names of those Ceph users begin that monitors make themselves, and that nobody uses here."""


class KeyUpgrade:
    """A unit's part in the replacement of its cluster's keys."""

    def __init__(self, unit: ops.Unit, *, ceph: Ceph, identities: Identities) -> None:
        """Take this unit, Ceph on its machine, and where the keys of all units are kept."""
        self._unit = unit
        self._ceph = ceph
        self._identities = identities

    def replace(
        self, identity: Identity, *, cluster_version: str, checks: Mapping[str, Any]
    ) -> ops.StatusBase | None:
        """Replace keys of the older type, once the cluster's own daemons all run a version that reads the newer one.

        What starts with another key from now on is left for `Ceph.outdated`.

        Args:
            identity: The cluster's keys as all units have them.
            cluster_version: What all monitors, managers and OSDs run at least.
            checks: The cluster's health checks.

        Returns:
            What is to be waited for.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        self._ceph.monitor.keep_key(identity.monitor_key)
        is_begun = not cephx.is_old(identity.monitor_key)
        if is_begun and cephx.is_old(self._ceph.crash.key):
            self._ceph.crash.fetch_key()
        if FINISHED in checks or number(cluster_version) < number(self._ceph.version()):
            return None
        if not checks.keys() & {SERVICES, TICKETS, CLIENTS} or not cephx.takes(
            self._ceph.admin, cephx.AES256K
        ):
            return None
        if SERVICES in checks:
            self._replace_own()
        return self._lead(identity, checks) if self._unit.is_leader() else None

    def _replace_own(self) -> None:
        """Have this machine's manager and OSDs start with new keys."""
        machine, admin = self._ceph.machine, self._ceph.admin
        for entity, path in self._ceph.keyrings().items():
            if cephx.is_old(cephx.read(machine, path)):
                cephx.write(machine, path, entity, cephx.pending_key(admin, entity, cephx.AES256K))

    def _lead(self, identity: Identity, checks: Mapping[str, Any]) -> ops.StatusBase | None:
        """Replace the keys that are nobody's in particular; then have tickets sealed with the newer type."""
        if SERVICES in checks or TICKETS in checks:
            if "MON_DOWN" in checks and cephx.is_old(identity.monitor_key):
                # One that is away would not know the others' new key.
                return RetriedStatus(
                    "to replace the monitors' key: not all are in quorum, see get-quorum-status"
                )
            self._replace_monitors(identity)
        if TICKETS in checks and SERVICES not in checks:
            self._ceph.admin.command("mon set", name="auth_service_cipher", value=cephx.AES256K)
        if CLIENTS in checks:
            self._replace_shared()
        return None

    def _replace_monitors(self, identity: Identity) -> None:
        """Replace the key that monitors know each other by; each of them keeps it, and is restarted in turn."""
        if not cephx.is_old(identity.monitor_key):
            return
        key = self._ceph.admin.command("auth get", entity="mon.")[0]["key"]
        if cephx.is_old(key):
            made = self._ceph.admin.command("auth rotate", entity="mon.", key_type=cephx.AES256K)
            key = made[0]["key"]
        self._identities.replace_key("monitor-key", key)

    def _replace_shared(self) -> None:
        """Replace the keys of ceph-crash, which each machine reads anew, and of users that nobody is."""
        for entry in self._ceph.admin.command("auth ls")["auth_dump"]:
            entity = entry["entity"]
            if (entity == crash.USER or entity.startswith(BOOTSTRAP)) and cephx.is_old(entry["key"]):
                self._ceph.admin.command("auth rotate", entity=entity, key_type=cephx.AES256K)
