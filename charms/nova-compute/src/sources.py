"""What nova-compute has of the machine's hypervisor, of Nova's control plane, and of Ceph, as needs of its service."""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.interfaces import hypervisor, nova
from openinfra_charm.openstack.needs import Ceph, Need

if TYPE_CHECKING:
    from collections.abc import Callable

    import ops

    from openinfra_charm.interfaces.hypervisor import Hypervisor
    from openinfra_charm.openstack.needs import Requirer, Trust


def secret_of(base: str, user: str) -> str:
    """Return under which uuid libvirt keeps the key of a user: each has its own, as guests of several may run."""
    return str(uuid.uuid5(uuid.UUID(base), user))


@dataclass(frozen=True, kw_only=True)
class ItsHypervisor(Need):
    """The hypervisor of the machine, whose unit this one is beside."""

    name: str = "hypervisor"
    endpoint: str = "hypervisor"
    provider: str = "kvm-host"
    lacks: str = "no hypervisor"
    awaits: str = "to tell what its hypervisor can do"

    def read(self, relation: ops.Relation, requirer: Requirer) -> Hypervisor | None:
        """Return what it can do."""
        del requirer
        return hypervisor.read(relation)

    def value(self, found: Any, trust: Trust) -> dict[str, str]:
        """Return it by the names of its fields."""
        del trust
        return dataclasses.asdict(found)


@dataclass(frozen=True, kw_only=True)
class ControlPlane(Need):
    """Nova's control plane: its region, and where consoles are opened."""

    name: str = "nova"
    endpoint: str = "nova-service"
    provider: str = "nova"
    lacks: str = "no control plane"
    awaits: str = "to tell where consoles are"

    def read(self, relation: ops.Relation, requirer: Requirer) -> nova.Access | None:
        """Return what it tells."""
        return nova.read_access(requirer.model, relation)

    def value(self, found: Any, trust: Trust) -> dict[str, str]:
        """Return what is no secret; nova-compute needs no other."""
        del trust
        access: nova.Access = found
        return {"region": access.region, "console_url": access.console_url}


@dataclass(frozen=True, kw_only=True)
class Disks(Ceph):
    """A pool for disks, and rights to images and volumes.

    A guest that runs uses the user and the key that it was started with, wherever it has moved. A new user comes into use at once, and Ceph
    is told so, which ends the one before, when no guest needs that any more.
    """

    is_needed: Callable[[str], bool] = lambda _: False
    """Returns whether a guest on any host uses another user than this one."""
    base: Callable[[], str] = str
    """Returns of what the uuids of secrets are made."""

    def value(self, found: Any, trust: Trust) -> dict[str, Any] | None:
        """Return what templates are told, and the uuid of the secret that libvirt keeps for guests."""
        told = super().value(found, trust)
        return {**told, "secret": secret_of(self.base(), told["user"])} if told else None

    def use(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Say that the newest user is used, and no other."""
        storage = self.read(relation, requirer)
        if storage and not self.is_needed(storage.user):
            super().use(relation, requirer)
