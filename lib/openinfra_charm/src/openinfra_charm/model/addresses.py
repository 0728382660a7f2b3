"""A unit's own addresses. They are asked for in this one place.

Juju lists all addresses of a machine in a binding's network, sorted as text, a gateway's virtual address too and with the
CIDR of its subnet; so a charm cannot tell which one is whose, and the first one is the machine's by luck. The kernel can:
the address of a network has the network's prefix, one that was added has that of a single address (/32, /128) or is
marked (ip-address(8): secondary, deprecated, temporary).
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import ops

from openinfra_charm.model.status import NeedsOperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openinfra_charm.machine import Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a unit is in the network of one of its bindings."""

    address: str
    """Its own address there, IPv4 or IPv6."""
    interface: str
    subnets: tuple[str, ...]
    """The networks of the binding, as CIDRs."""
    ingress: str
    """Where others reach what listens on `address`: there, or at an address that translates to it."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Under which addresses others reach this unit: its own, and the one that translates to it."""
        return tuple(dict.fromkeys((self.address, self.ingress)))

    def has(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        """Return whether an address is in one of the networks."""
        return any(address in ipaddress.ip_network(subnet, strict=False) for subnet in self.subnets)


class Addresses:
    """The addresses of one unit, by binding."""

    def __init__(self, model: ops.Model, machine: Machine, application: str) -> None:
        self._model = model
        self._machine = machine
        self._record = f"/var/lib/openinfra/{application}/addresses.json"

    def find(
        self, binding: str, *, published: object = None, relation: ops.Relation | None = None
    ) -> Place | None:
        """Return where this unit is in a binding's network; None while Juju has no address for it.

        An address that the unit has told others, or that was found before, stays as long as the machine has it. Where
        Juju lists one only, it is that one, and the kernel is not asked.

        In a hook of a relation Juju looks the relation up first, whatever the binding is, and refuses when it is gone from the
        model, as it is in the last `relation-broken` hook of an application that is removed. Then what was last known
        holds.

        Args:
            binding: The binding's name.
            published: The address that the unit has told others; None where it has told none.
            relation: Whose other side, which may be another model, the ingress is for; None where there is no such relation, or
                more than one.
        """
        known = self._known
        before = known.get(binding)
        network = self._network(binding)
        if network is None:
            return self.seen_from(relation, _place(before)) if before else None
        faces = {str(one.address): one.name for one in network.interfaces}
        kept = [one for one in (published, before and before["address"]) if one in faces]
        address = str(kept[0]) if kept else self._own(tuple(faces))
        if not address:
            return None
        place = Place(
            address=address,
            interface=faces[address],
            subnets=tuple(dict.fromkeys(str(one.subnet) for one in network.interfaces if one.subnet)),
            ingress=_ingress(network, address),
        )
        text = json.dumps(known | {binding: asdict(place)}, indent=1, sort_keys=True)
        self._machine.write(self._record, f"{text}\n")
        return self.seen_from(relation, place)

    def require(self, binding: str, *, relation: ops.Relation | None = None) -> Place:
        """Return where this unit is, as `find` does.

        Raises:
            NeedsOperatorError: Juju has no address for it.
        """
        place = self.find(binding, relation=relation)
        if place is None:
            raise NeedsOperatorError(f"the binding {binding} has no address: see juju bind")
        return place

    def seen_from(self, relation: ops.Relation | None, place: Place) -> Place:
        """Return the place with the ingress that Juju has for this relation, which it writes into the unit's data.

        A relation that is about to end has none any more.
        """
        if relation is None or not relation.active:
            return place
        told = relation.data[self._model.unit].get("ingress-address")
        if not told or told in {place.address, place.ingress}:
            return replace(place, ingress=told or place.ingress)
        network = self._network(relation)
        return replace(place, ingress=_ingress(network, place.address)) if network else place

    def _network(self, endpoint: ops.Relation | str) -> ops.Network | None:
        """Return what Juju says of a binding; None where it has no answer."""
        binding = self._model.get_binding(endpoint)
        try:
            return binding.network if binding else None
        except ops.RelationNotFoundError:
            return None

    def _own(self, listed: Sequence[str]) -> str:
        """Return which of these addresses is that of the machine's network.

        Where all have the prefix of a single address, as some clouds lease them, it is the leased one, or else the one
        that was there first.
        """
        if len(listed) < 2:  # noqa: PLR2004  nothing to choose
            return "".join(listed)
        held = [one for one in self._machine.addresses() if one.address in listed]
        best = min(held, key=lambda one: (one.is_added, one.is_single, not one.is_leased), default=None)
        return best.address if best else listed[0]

    @property
    def _known(self) -> dict[str, Any]:
        """What was found last, by binding."""
        return json.loads(self._machine.read(self._record) or "{}")


def _ingress(network: ops.Network, address: str) -> str:
    """Return the address that leads to this one from elsewhere; it is this one unless Juju names none that the unit has."""
    ingress = [str(one) for one in network.ingress_addresses]
    here = {str(one.address) for one in network.interfaces}
    outside = [one for one in ingress if one not in here]
    return outside[0] if outside and address not in ingress else address


def _place(facts: dict[str, Any]) -> Place:
    address = facts["address"]
    return Place(
        address=address,
        interface=facts["interface"],
        subnets=tuple(facts["subnets"]),
        # An earlier version has recorded none.
        ingress=facts.get("ingress", address),
    )
