"""The metadata agent as a service of OpenStack's: what it is made of, and what it has of Nova.

It passes on what virtual machines ask 169.254.169.254 for: a namespace with an HAProxy for each network that has one here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openinfra_charm.interfaces import nova
from openinfra_charm.openstack.needs import Need
from openinfra_charm.openstack.spec import Process, Spec

if TYPE_CHECKING:
    import ops

    from openinfra_charm.openstack.needs import Requirer, Trust

ENDPOINT = "nova-service"
PROCESS = "metadata"
HTTPS = 443
PROXY_USER = "haproxy"
"""Whom an HAProxy of a namespace runs as: the package's user."""


@dataclass(frozen=True, kw_only=True)
class Metadata(Need):
    """Nova's metadata API. Templates get `nova.host`, `nova.port` and `nova.secret`."""

    name: str = "nova"
    endpoint: str = ENDPOINT
    provider: str = "nova"
    lacks: str = "no metadata for virtual machines"
    awaits: str = "to say where its metadata are"

    def read(self, relation: ops.Relation, requirer: Requirer) -> nova.Access | None:
        """Return where the metadata are, and by what Nova knows who asks."""
        return nova.read_access(requirer.model, relation, refresh=False)

    def use(self, relation: ops.Relation, requirer: Requirer) -> None:
        """Use the newest secret from now on."""
        nova.read_access(requirer.model, relation)

    def value(self, found: Any, trust: Trust) -> dict[str, Any]:
        """Return what templates are told."""
        del trust
        access: nova.Access = found
        place = urlsplit(access.metadata_url)
        return {
            "scheme": place.scheme,
            "host": place.hostname,
            "port": place.port or HTTPS,
            "secret": access.secret,
        }


CAPABILITIES = (
    "CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE", "CAP_KILL",
)  # fmt: skip
"""What the agent's helper may do (oslo.privsep): the usual, and to end an HAProxy that runs as another user."""
_OF_HAPROXY = ("CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN", "CAP_SETPCAP")
SANDBOX = {
    # HAProxy serves while the agent is away, and is found again by it.
    "KillMode": "process",
    # Namespaces are mounts. In a mount namespace of its own the agent would be the only one to see those that it makes, and only until it ends.
    **dict.fromkeys(
        ("ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectKernelTunables", "ProtectControlGroups"), "no"
    ),
    "ReadWritePaths": "",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET",
    "CapabilityBoundingSet": " ".join((*CAPABILITIES, *_OF_HAPROXY)),
}  # fmt: skip
SPEC = Spec(
    name="metadata",
    title="the metadata agent",
    templates=("neutron_ovn_agent.ini.j2",),
    user="root",
    needs=(Metadata(),),
    processes=(
        Process(
            name=PROCESS,
            command=("neutron-ovn-agent", "--config-file={config}"),
            environment={
                # Its helper is a program of the tree, and it starts haproxy, ip and iptables by their names.
                "PATH": "/opt/{application}/current/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            },
            in_turn=False,
            after=("ovn-controller.service",),
            sandbox=SANDBOX,
        ),
    ),
    packages=("haproxy", "iptables"),
    bindings=("python3-openvswitch",),
    source=Path(__file__).parent,
)
