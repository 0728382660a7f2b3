"""How operators write sizes and lists, in options and as parameters of actions; and how addresses are written before ports."""

from __future__ import annotations

import ipaddress
import re

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def split(text: str) -> tuple[str, ...]:
    """Split a list with commas, blanks or both between its names; empty names do not count."""
    return tuple(text.replace(",", " ").split())


def bracketed(address: str) -> str:
    """Return an address or a name as it stands before a port: an IPv6 address in brackets."""
    return f"[{address}]" if ":" in address else address


def is_address(text: str) -> bool:
    """Return whether a text is an IP address, and no host name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def parse_size(text: str) -> int | None:
    """Return the bytes that a size such as `10G` (binary units) stands for; None if it is none."""
    match = re.fullmatch(r"([1-9]\d*)([KMGT])i?B?", text.strip())
    return int(match[1]) * _UNITS[match[2]] if match else None
