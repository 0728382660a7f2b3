"""Bridges of the machine: which interface goes into which, by name or by MAC address, and what is in the wrong place.

An interface with an address that the machine is reached at is moved with it (`move`), but for a datapath in user space: that takes
packets beside the kernel, which keeps the address.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import links
from openinfra_charm.model.status import NeedsOperatorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from links import Link
    from move import Mover
    from openinfra_charm.machine import Machine
    from state import Settings
    from vswitch import Configuration, VSwitch


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is to be in which bridge. `tunnel` is the bridge that has the tunnels' own address; empty where the machine's is theirs."""

    interfaces: Mapping[str, Link]
    tunnel: str = ""


class Bridges:
    """The bridges of one application on a machine."""

    def __init__(self, machine: Machine, application: str, vswitch: VSwitch, mover: Mover) -> None:
        self._machine = machine
        self._application = application
        self._vswitch = vswitch
        self._mover = mover
        self._record = f"/var/lib/openinfra/{application}/interfaces.json"

    def plan(self, settings: Settings, present: Configuration, *, data: str, datapath: str) -> Plan:
        """Return what is to be in which bridge of this machine.

        Args:
            settings: What the operator wants.
            present: What is configured.
            data: The interface that the tunnels use.
            datapath: Who forwards packets.

        Raises:
            NeedsOperatorError: An interface is not on this machine or has another place, or a bridge is unknown.
        """
        here = links.read(self._machine)
        found: dict[str, Link] = {}
        for bridge, words in settings.interfaces.items():
            link = next((link for word in words if (link := links.find(here, word))), None)
            if link is None:
                raise NeedsOperatorError(
                    f"bridge-interface-mappings: {bridge} gets no interface: {', '.join(words)} is not here; "
                    f"this machine has {', '.join(f'{one.name} ({one.mac})' for one in here.values())}"
                )
            found[bridge] = link
        tunnel = ""
        if datapath == "netdev" and data in here:
            tunnel = next((bridge for bridge, link in found.items() if link.name == data), f"br-{data}"[:15])
            found.setdefault(tunnel, here[data])
        self._check(found, settings.physnets.values(), present)
        return Plan(interfaces=found, tunnel=tunnel)

    def _check(self, wanted: Mapping[str, Link], mapped: Iterable[str], present: Configuration) -> None:
        names = [link.name for link in wanted.values()]
        if twice := {name for name in names if names.count(name) > 1}:
            raise NeedsOperatorError(
                f"bridge-interface-mappings: {min(twice)} is to be in two bridges of this machine"
            )
        for bridge, link in wanted.items():
            for other in present.bridges.values():
                if other.ports.get(link.name, self._application) != self._application:
                    raise NeedsOperatorError(
                        f"{link.name} is in {other.name} already, which {self._application} has not made"
                    )
            there = present.bridges.get(bridge)
            if there and there.owner != self._application:
                raise NeedsOperatorError(
                    f"there is a bridge {bridge} already, which {self._application} has not made"
                )
        for bridge in mapped:
            if bridge not in wanted and bridge not in present.bridges:
                raise NeedsOperatorError(
                    f"ovn-bridge-mappings: there is no bridge {bridge}; name what goes into it in bridge-interface-mappings"
                )

    def bring(self, settings: Settings, plan: Plan, present: Configuration, *, datapath: str) -> None:
        """Make what is missing, and take away what this application has made and nobody wants any more.

        Raises:
            VSwitchError: Open vSwitch does not answer, or an interface cannot be opened.
            NeedsOperatorError: An address cannot be moved, or the machine was not reached with it afterwards; it is where it was.
        """
        self.remember(settings.interfaces)
        for bridge in present.bridges.values():
            if bridge.owner == self._application:
                self._clear(bridge.name, bridge.ports, plan.interfaces.get(bridge.name))
        for name, link in plan.interfaces.items():
            there = present.bridges.get(name)
            is_tunnels = name == plan.tunnel
            self._set_up(link)
            if there and there.datapath == datapath and link.name in there.ports:
                if is_tunnels:
                    self._follow_mtu(name, link)
                continue
            if datapath == "system" and link.addresses:
                self._mover.move(link, name)
                continue
            mac = own_mac(f"{self._machine.hostname()} {name}") if is_tunnels else ""
            self._vswitch.add_bridge(
                name, datapath, mac=mac, port=link.name, mtu=link.mtu if is_tunnels else 0
            )

    def _set_up(self, link: Link) -> None:
        """Set an interface up that nobody else does: one without an address of the machine's has no network's file."""
        if not link.is_up:
            self._machine.run("ip", "link", "set", "dev", link.name, "up")

    def _follow_mtu(self, bridge: str, link: Link) -> None:
        """Give the tunnels' bridge the MTU of its interface, which may have changed."""
        known = (self._machine.read(f"/sys/class/net/{bridge}/mtu") or "").strip()
        if known not in {"", str(link.mtu)}:
            self._vswitch.set_mtu(bridge, link.mtu)

    def _clear(self, bridge: str, ports: Mapping[str, str], wanted: Link | None) -> None:
        """Take what is not wanted any more out of a bridge of this application, or the bridge away."""
        for port, owner in ports.items():
            if owner == self._application and (wanted is None or port != wanted.name):
                self._mover.move_back(bridge, port)
                self._vswitch.remove_port(bridge, port)
        if wanted is None:
            self._vswitch.remove_bridge(bridge)

    def remember(self, interfaces: Mapping[str, tuple[str, ...]]) -> None:
        """Keep which interfaces are wanted, for starts of the machine: the kernel may call them otherwise then."""
        self._machine.write(self._record, f"{json.dumps(interfaces, indent=1, sort_keys=True)}\n")

    def correct_names(self) -> list[str]:
        """At a start of the machine, put ports right whose interfaces have other names now; return what was done, in words."""
        wanted: dict[str, list[str]] = json.loads(self._machine.read(self._record) or "{}")
        here, present = links.read(self._machine), self._vswitch.read()
        done: list[str] = []
        for bridge, words in wanted.items():
            link = next((link for word in words if (link := links.find(here, word))), None)
            there = present.bridges.get(bridge)
            if link is None or there is None:
                continue
            self._set_up(link)
            if link.name in there.ports:
                continue
            for port, owner in there.ports.items():
                if owner == self._application:
                    self._vswitch.remove_port(bridge, port)
            self._vswitch.add_bridge(bridge, there.datapath, mac=there.mac, port=link.name)
            done.append(f"{link.name} ({link.mac}) into {bridge}")
        return done

    def remove(self) -> None:
        """Take all bridges of this application away, and OVN's own; addresses that were moved go back first."""
        for bridge in self._vswitch.read().bridges.values():
            if bridge.owner == self._application:
                self._clear(bridge.name, bridge.ports, None)
        self._vswitch.remove_bridge("br-int")


def own_mac(seed: str) -> str:
    """Return a MAC address of one's own (locally administered) that is always the same for the same words."""
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return ":".join(["0a", *(digest[number : number + 2] for number in range(0, 10, 2))])
