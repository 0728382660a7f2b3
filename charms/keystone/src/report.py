"""What a unit says of itself when nothing is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

import keys
from openinfra_charm.model.status import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from charm import KeystoneCharm


def statuses(charm: KeystoneCharm) -> Iterator[ops.StatusBase]:
    """Yield every reason that the unit's status has, from the machine and the model as they are now."""
    try:
        _ = charm.settings
    except ConfigError as error:
        yield ops.BlockedStatus(str(error))
        return
    if charm.keystone.api.paused:
        yield ops.MaintenanceStatus(f"paused; juju run {charm.unit.name} resume")
        return
    if why := charm.keystone.api.problem():
        yield ops.WaitingStatus(f"for Keystone: {why}")
        return
    if charm.unit.is_leader() and "names" in charm.cluster.shared:
        yield from map(ops.BlockedStatus, charm.clients.problems())
    if charm.unit.is_leader() and (notes := list(_notes(charm))):
        yield ops.ActiveStatus("; ".join(notes))


def _notes(charm: KeystoneCharm) -> Iterator[str]:
    """Yield what an operator of a Keystone that serves may want to know; the leader tells."""
    if charm.cluster.shared.get("rotation-due"):
        try:
            keys.rotatable(charm)
        except keys.NotYetError as error:
            yield f"keys are due to be rotated: {error}"
    if not charm.served and len(charm.cluster.units) > 1:
        yield f"clients reach only {charm.url}: juju integrate {charm.app.name} gateway"
    if charm.model.get_relation("cache") is None:
        yield f"nothing is cached: juju integrate {charm.app.name} memcached"
