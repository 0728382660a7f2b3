"""The namespaces of the metadata agent, one for each network: they and the HAProxy in each outlive the agent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from state import INTEGRATION

if TYPE_CHECKING:
    from openinfra_charm.machine import Machine
    from vswitch import VSwitch

PREFIX = "ovnmeta-"


class Namespaces:
    """Those that are on the machine."""

    def __init__(self, machine: Machine, vswitch: VSwitch) -> None:
        self._machine = machine
        self._vswitch = vswitch

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [name for name in self._machine.list_folder("/run/netns") if name.startswith(PREFIX)]

    def end(self) -> None:
        """End what runs in them, and take them away, with their ports.

        Raises:
            VSwitchError: Open vSwitch does not answer.
        """
        for name in self.names:
            inside = self._machine.run("ip", "netns", "pids", name, check=False).stdout.split()
            if inside:
                self._machine.run("kill", *inside, check=False)
            for port in self._ports(name):
                self._vswitch.remove_port(INTEGRATION, port)
            self._machine.run("ip", "netns", "delete", name)

    def _ports(self, name: str) -> list[str]:
        """Return the ports of OVN's bridge that lead into a namespace: each is called like the interface inside, with another last digit."""
        shown = self._machine.run("ip", "-json", "-netns", name, "link", "show", check=False).stdout
        names: list[str] = [one["ifname"] for one in json.loads(shown or "[]")]
        return [f"{one[:-1]}0" for one in names if one.startswith("tap") and one.endswith("1")]
