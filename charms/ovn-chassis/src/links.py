"""The machine's network interfaces, as the kernel has them (ip-link(8), ip-address(8))."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine

_VIRTUAL = frozenset({"openvswitch", "tun", "bridge", "geneve", "vxlan", "dummy"})
"""Kinds of interfaces that are somebody's own, not the machine's: a bridge has the MAC address of what is in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """An interface of the machine. `addresses` are those that others use, with the lengths of their prefixes."""

    name: str
    mac: str
    mtu: int
    is_up: bool = True
    addresses: tuple[str, ...] = ()


def read(machine: Machine) -> dict[str, Link]:
    """Return the machine's own interfaces by name, without the loopback and what others have made."""
    shown: list[dict[str, Any]] = json.loads(
        machine.run("ip", "-json", "-details", "address", "show").stdout or "[]"
    )
    found: dict[str, Link] = {}
    for one in shown:
        kind = one.get("linkinfo", {}).get("info_kind", "")
        if kind in _VIRTUAL or "LOOPBACK" in one.get("flags", ()):
            continue
        addresses = [
            f"{address['local']}/{address['prefixlen']}"
            for address in one.get("addr_info", ())
            if address.get("scope") == "global"
        ]
        mac = one.get("permaddr") or one.get("address", "")
        found[one["ifname"]] = Link(
            name=one["ifname"],
            mac=mac,
            mtu=one["mtu"],
            is_up="UP" in one["flags"],
            addresses=tuple(addresses),
        )
    return found


def find(links: dict[str, Link], word: str) -> Link | None:
    """Return the interface of a name or a MAC address."""
    return links.get(word) or next((link for link in links.values() if link.mac == word), None)
