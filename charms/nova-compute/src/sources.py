"""What nova-compute has of the machine's hypervisor, of Nova's control plane, and of Ceph, as needs of its service."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.interfaces import hypervisor, nova
from openinfra_charm.openstack.needs import Ceph, Need, Storage

if TYPE_CHECKING:
    from collections.abc import Callable

    import ops

    from openinfra_charm.interfaces.hypervisor import Hypervisor
    from openinfra_charm.openstack.needs import Requirer, Trust

_KEY = re.compile(r"^\s*key\s*=\s*(\S+)", re.MULTILINE)


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

    A guest that runs has its key from when it was started, and Ceph takes the key before only until somebody uses a new one. So a new key
    waits as long as `held` returns the one that guests run with.
    """

    held: Callable[[str], str] = lambda _: ""
    """Returns, for a new key, the one that is used until guests need it no more; empty for the new one."""

    def read(self, relation: ops.Relation, requirer: Requirer) -> Storage | None:
        """Return how to reach the cluster: with the newest key, if that can be used."""
        storage = super().read(relation, requirer)
        held = self.held(storage.key) if storage else ""
        return dataclasses.replace(storage, key=held) if storage and held else storage

    def use(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Use the newest key from now on, if it can be used."""
        storage = super().read(relation, requirer)
        if storage and not self.held(storage.key):
            super().use(relation, requirer)


def key_in(keyring: str) -> str:
    """Return the key in a keyring; empty where there is none."""
    found = _KEY.search(keyring)
    return found[1] if found else ""
