"""A unit's own addresses. They are asked for in this one place."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import ops

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a unit is in the network of one of its bindings."""

    address: str
    """Its own address there, IPv4 or IPv6."""
    interface: str
    subnets: tuple[str, ...]
    """The networks of the interface, as CIDRs."""


class Addresses:
    """The addresses of one unit, by binding."""

    def __init__(self, model: ops.Model, machine: Machine, application: str) -> None:
        self._model = model
        self._machine = machine
        self._record = f"/var/lib/openinfra/{application}/addresses.json"

    def find(self, binding: str) -> Place | None:
        """Return where this unit is in a binding's network; None while Juju has no address for it.

        In a hook of a relation Juju looks the relation up first, whatever the binding is, and refuses when it is gone from the
        model, as it is in the last `relation-broken` hook of an application that is removed. Then what was last known
        holds.
        """
        known = self._known
        try:
            bound = self._model.get_binding(binding)
            network = bound.network if bound else None
        except ops.RelationNotFoundError:
            return _place(known[binding]) if binding in known else None
        if network is None or not network.bind_address:
            return None
        place = Place(
            address=str(network.bind_address),
            interface=network.interfaces[0].name,
            subnets=tuple(str(one.subnet) for one in network.interfaces if one.subnet),
        )
        text = json.dumps(known | {binding: asdict(place)}, indent=1, sort_keys=True)
        self._machine.write(self._record, f"{text}\n")
        return place

    @property
    def _known(self) -> dict[str, Any]:
        """What was found last, by binding."""
        return json.loads(self._machine.read(self._record) or "{}")


def _place(facts: dict[str, Any]) -> Place:
    return Place(address=facts["address"], interface=facts["interface"], subnets=tuple(facts["subnets"]))
