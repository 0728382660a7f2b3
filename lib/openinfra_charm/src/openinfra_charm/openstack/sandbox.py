"""How systemd runs the processes of a service: started again whatever ends them, and with no more of the machine than they need."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTIVES = MappingProxyType(
    {
        "KillMode": "mixed",
        "Restart": "always",
        "RestartSec": "1",
        "OOMScoreAdjust": "-100",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ReadWritePaths": "{lib}",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "PrivateDevices": "yes",
        "ProtectKernelTunables": "yes",
        "ProtectControlGroups": "yes",
        # By netlink openstacksdk asks which addresses the machine has; without a capability nothing can be changed there.
        "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "RestrictSUIDSGID": "yes",
        "LockPersonality": "yes",
        "CapabilityBoundingSet": "",
    }
)
"""What a unit has in its section Service; `lib` is the folder that its processes may write."""
_INSTALL = """
[Install]
WantedBy=multi-user.target
"""


def ending(others: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the end of a process's unit, for `str.format` to put its places in.

    Args:
        others: The directives that are otherwise here, or of which the rest has none.
    """
    lines = (f"{key}={value}\n" for key, value in {**DIRECTIVES, **others}.items())
    return "".join(lines) + _INSTALL


SANDBOX = ending()
"""The end of a unit that has nothing special."""
