"""What the model says, as frozen records: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.cluster import Published
from openinfra_charm.model.status import ConfigError
from openinfra_charm.values import split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_charm.model.addresses import Place
    from openinfra_charm.model.cluster import Cluster

_NAME = re.compile(r"[A-Za-z0-9._-]{1,15}")
"""Names of interfaces and bridges (the kernel's IFNAMSIZ)."""
_PHYSNET = re.compile(r"[A-Za-z0-9._-]+")
_MAC = re.compile(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")
INTEGRATION = "br-int"
"""OVN's own bridge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the operator wants.

    `physnets` are bridges by provider network, `interfaces` what goes into each bridge: names of interfaces, or MAC addresses.
    """

    physnets: Mapping[str, str] = field(default_factory=dict[str, str])
    interfaces: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    gateway: bool = False
    tunnel_network: ipaddress.IPv4Network | ipaddress.IPv6Network

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Read the charm's options.

        Raises:
            ConfigError: An option's value cannot be used.
        """
        interfaces: dict[str, tuple[str, ...]] = {}
        for bridge, name in _pairs(
            options, "bridge-interface-mappings", "bridges and interfaces such as br-ex:eth1"
        ):
            if not _is_bridge(bridge) or not (_MAC.fullmatch(name) or _NAME.fullmatch(name)):
                raise ConfigError(
                    "bridge-interface-mappings",
                    f"{bridge}:{name}",
                    "a bridge (not br-int), and an interface or its MAC address",
                )
            word = name.lower() if _MAC.fullmatch(name) else name
            if taken := [other for other, names in interfaces.items() if word in names and other != bridge]:
                raise ConfigError(
                    "bridge-interface-mappings", f"{bridge}:{name}", f"another interface: {taken[0]} has it"
                )
            interfaces[bridge] = tuple(dict.fromkeys((*interfaces.get(bridge, ()), word)))
        physnets: dict[str, str] = {}
        for physnet, bridge in _pairs(
            options, "ovn-bridge-mappings", "provider networks and bridges such as physnet1:br-ex"
        ):
            if not _PHYSNET.fullmatch(physnet) or not _is_bridge(bridge) or physnet in physnets:
                raise ConfigError(
                    "ovn-bridge-mappings",
                    f"{physnet}:{bridge}",
                    "each provider network once, and a bridge (not br-int)",
                )
            physnets[physnet] = bridge
        return cls(
            physnets=physnets, interfaces=interfaces, gateway=options["prefer-chassis-as-gw"],
            tunnel_network=_network(options["userspace-tunnel-network"]),
        )  # fmt: skip


def _is_bridge(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name != INTEGRATION


def _pairs(options: Mapping[str, Any], option: str, expected: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for word in split(options[option]):
        one, _, other = word.partition(":")
        if not one or not other:
            raise ConfigError(option, word, expected)
        found.append((one, other))
    return found


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        network = None
    if network is None or network.prefixlen > network.max_prefixlen - 8:
        raise ConfigError(
            "userspace-tunnel-network", text, "a network of at least 256 addresses, such as 172.27.0.0/16"
        )
    return network


def tunnel_address(network: ipaddress.IPv4Network | ipaddress.IPv6Network, place: Place) -> str:
    """Return the address in the tunnels' network that ends like a machine's own address, with the length of its prefix."""
    own = int(ipaddress.ip_address(place.address))
    return f"{network.network_address + (own & int(network.hostmask))}/{network.prefixlen}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Chassis:
    """A unit as its peers know it: its name in OVN, its tunnels' address, and the largest packet that its network takes."""

    unit: str
    name: str
    address: str
    mtu: int

    @classmethod
    def parse(cls, unit: str, facts: Mapping[str, Any]) -> Chassis:
        """Read what a unit has published of itself."""
        return cls(unit=unit, name=facts["name"], address=facts["address"], mtu=facts["mtu"])


class AllChassis(Published[Chassis]):
    """The units that have published where their tunnels end."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, Chassis.parse, mark="address")


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Everything that decides what runs on this machine: `remote` is where the southbound database is."""

    settings: Settings
    name: str
    place: Place
    remote: str
