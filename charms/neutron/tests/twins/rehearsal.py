"""Neutron's twin as rehearsals play it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import twin

from openinfra_charm.testing import openstack

if TYPE_CHECKING:
    from collections.abc import Sequence


class Twin(openstack.Twin):
    """One Neutron on the machines of one application."""

    def __init__(self) -> None:
        super().__init__(twin.Neutron, first=twin.HEADS, processes=twin.PROCESSES)

    def settings(self) -> Sequence[str]:
        """Return what restarts the processes."""
        return ("workers=3", "distributed-floating-ips=true", "vlan-ranges=physnet1:100:199")
