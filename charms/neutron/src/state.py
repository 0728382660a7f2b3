"""What Neutron's own options say, as a frozen record: parsed and checked here, once, and nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.options import check, whole
from openinfra_charm.values import is_address, split

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
PROJECT_TYPES = ("geneve", "vlan")
NO_RESOLVER = ("0.0.0.0", "::")  # noqa: S104  Neutron's words for none
"""What Neutron is told where nobody says which resolvers guests get: it would give them those of its own machine, and on one with a stub
resolver that is an address of the loopback interface."""
_LARGEST_MTU = 9216
_LEAST_MTU = 1338
"""A guest's is 58 bytes less, and IPv6 asks for 1280."""
_LAST_VLAN = 4094
_MOST_NETWORKS = 65536
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Neutron's own options, checked."""

    mtu: int
    physical_mtus: tuple[str, ...]
    flat_networks: tuple[str, ...]
    vlan_ranges: tuple[str, ...]
    project_types: tuple[str, ...]
    geneve_networks: int
    distributed: bool
    dns_domain: str
    dns_servers: tuple[str, ...]
    probe_interval: int
    """Milliseconds between the words of a chassis with gateways."""
    probes: int
    """How many that do not come mean that it is away."""

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Settings:
        """Check the options.

        Raises:
            ConfigError: One has a value that cannot be used.
        """
        types = split(options["project-network-types"])
        words = f"one or both of {' '.join(PROJECT_TYPES)}, the one that is tried first in front"
        check(options, "project-network-types", types and set(types) <= set(PROJECT_TYPES), words)
        ranges = split(options["vlan-ranges"])
        words = "physical networks with the first and last VLAN, such as physnet1:100:199, or physnet1 alone"
        check(options, "vlan-ranges", all(map(_is_range, ranges)), words)
        has_vlans = any(":" in one for one in ranges) or "vlan" not in types
        words = "VLANs for it in vlan-ranges, such as physnet1:100:199, where it names vlan"
        check(options, "project-network-types", has_vlans, words)
        domain = options["dns-domain"].rstrip(".")
        check(options, "dns-domain", re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", domain), "a domain name")
        servers = split(options["dns-servers"])
        check(options, "dns-servers", all(map(is_address, servers)), "addresses of resolvers")
        return cls(
            mtu=whole(options, "physical-mtu", _LEAST_MTU, _LARGEST_MTU),
            physical_mtus=_mtus(options),
            flat_networks=_names(options, "flat-networks"),
            vlan_ranges=ranges,
            project_types=types,
            geneve_networks=whole(options, "geneve-networks", 16, _MOST_NETWORKS),
            distributed=options["distributed-floating-ips"],
            dns_domain=f"{domain}.",
            dns_servers=servers or NO_RESOLVER,
            probe_interval=whole(options, "gateway-probe-interval", 100, 10000),
            probes=whole(options, "gateway-probes", 2, 20),
        )


def _is_range(text: str) -> bool:
    found = re.fullmatch(rf"{NAME}(?::(\d+):(\d+))?", text)
    return bool(found) and (not found[1] or 1 <= int(found[1]) <= int(found[2]) <= _LAST_VLAN)


def _names(options: Mapping[str, Any], option: str) -> tuple[str, ...]:
    names = split(options[option])
    fit = names == ("*",) or all(re.fullmatch(NAME, name) for name in names)
    check(options, option, fit, "names of physical networks such as physnet1, or * for any")
    return names


def _mtus(options: Mapping[str, Any]) -> tuple[str, ...]:
    pairs = split(options["physical-network-mtus"])
    fit = all(_is_mtu(pair) for pair in pairs)
    check(options, "physical-network-mtus", fit, "physical networks, each with a colon and its MTU")
    return pairs


def _is_mtu(pair: str) -> bool:
    found = re.fullmatch(rf"{NAME}:(\d+)", pair)
    return bool(found) and _LEAST_MTU <= int(found[1]) <= _LARGEST_MTU
