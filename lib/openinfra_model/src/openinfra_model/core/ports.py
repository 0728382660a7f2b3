"""Open ports: a port of a machine belongs to one unit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from openinfra_model.core import find
from openinfra_model.core.entities import Port
from openinfra_model.core.errors import ToolError, UsageError

if TYPE_CHECKING:
    from openinfra_model.core.state import State

_PORTS = re.compile(r"(?P<first>\d+)(?:-(?P<last>\d+))?(?:/(?P<protocol>tcp|udp))?")
_LARGEST = 65535


def parse(text: str, endpoint: str = "") -> Port:
    """Read `80`, `80/tcp`, `9000-9010/udp` or `icmp`.

    Raises:
        UsageError: if it is none of these.
    """
    if text.lower() == "icmp":
        return Port(protocol="icmp", first=0, last=0, endpoint=endpoint)
    match = _PORTS.fullmatch(text.lower())
    if not match:
        raise UsageError(f'expected <port>[/<protocol>] or <from>-<to>[/<protocol>] or icmp; got "{text}"')
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if not 1 <= first <= last <= _LARGEST:
        raise UsageError(f"port range bounds must be between 1 and {_LARGEST}, got {first}-{last}")
    return Port(protocol=match["protocol"] or "tcp", first=first, last=last, endpoint=endpoint)


def check_open(state: State, unit: str, port: Port) -> None:
    """Check that no other range is in the way.

    Raises:
        ToolError: if one is.
    """
    _check(state, unit, port, "open")


def check_close(state: State, unit: str, port: Port) -> None:
    """Check that the range is no other unit's, nor a part of another range.

    Raises:
        ToolError: if it is.
    """
    _check(state, unit, port, "close")


def _check(state: State, unit: str, port: Port, verb: str) -> None:
    for other in find.units_on(state, state.units[unit].machine):
        for taken in other.ports:
            if _overlap(port, taken) and not (other.name == unit and _same_range(port, taken)):
                raise ToolError(
                    f'cannot {verb} {port} (unit "{unit}"): port range conflicts with {taken} (unit "{other.name}")'
                )


def _overlap(one: Port, other: Port) -> bool:
    return one.protocol == other.protocol and one.first <= other.last and other.first <= one.last


def _same_range(one: Port, other: Port) -> bool:
    return (one.protocol, one.first, one.last) == (other.protocol, other.first, other.last)


def shown(found: tuple[Port, ...]) -> list[str]:
    """Return ports as Juju lists them."""
    unique = {(port.protocol, port.first, port.last): port for port in found}
    return [str(port) for _, port in sorted(unique.items())]
