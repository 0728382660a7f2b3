"""The machine's name and addresses."""

from __future__ import annotations

import errno
import json
import socket
from dataclasses import dataclass
from typing import Any

from openinfra_charm.machine.processes import Processes

_ADDED = ("secondary", "deprecated", "temporary")
"""What ip-address(8) says, in JSON, of an address that is not its interface's own; keepalived's for IPv6 are deprecated."""

_IP_FREEBIND = 15
_IPV6_FREEBIND = 78
"""Options of sockets that Python does not name (linux/in.h, linux/in6.h)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InterfaceAddress:
    """An address of one of the machine's interfaces, with the length of its prefix.

    `is_added` says that the kernel marks it as one beside the interface's own, or not to be used for new connections;
    `is_leased` that it was given for a time (DHCP, router advertisements).
    """

    address: str
    prefix: int
    is_added: bool = False
    is_leased: bool = False

    @property
    def is_single(self) -> bool:
        """Whether its prefix is that of one address, not of a network."""
        return self.prefix == (128 if ":" in self.address else 32)


class Network(Processes):
    """How the machine is called and reached."""

    def hostname(self) -> str:
        """Return the machine's short host name."""
        return socket.gethostname().split(".")[0]

    def addresses(self) -> tuple[InterfaceAddress, ...]:
        """Return the addresses of all interfaces, in the kernel's order: of each, first the one that was there first."""
        links: list[dict[str, Any]] = json.loads(self.run("ip", "-json", "address", "show").stdout or "[]")
        return tuple(
            InterfaceAddress(
                address=one["local"],
                prefix=one["prefixlen"],
                is_added=any(one.get(mark) for mark in _ADDED),
                is_leased=bool(one.get("dynamic")),
            )
            for link in links
            for one in link.get("addr_info", ())
            if "local" in one
        )

    def can_listen(self, address: str, port: int) -> bool:
        """Return whether root could listen there for TCP, beside its own sockets that share their port (SO_REUSEPORT).

        The machine need not have the address yet, as with a virtual one (ip(7): IP_FREEBIND).
        """
        family, level, free = (
            (socket.AF_INET6, socket.IPPROTO_IPV6, _IPV6_FREEBIND)
            if ":" in address
            else (socket.AF_INET, socket.IPPROTO_IP, _IP_FREEBIND)
        )
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            probe.setsockopt(level, free, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return False
        return True
