"""Servers as people have them: the SDK's calls that they make for one, and SSH to it from this host."""

from __future__ import annotations

import ipaddress
import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from openstack.compute.v2.flavor import Flavor
    from openstack.connection import Connection
    from openstack.image.v2.image import Image
    from openstack.network.v2.network import Network

    from .site import Site

GUEST = "guest"
"""What the tests' image, flavor and key pair are called."""
PROVIDER, TENANT = "public", "tenant"
PHYSICAL_NETWORK = "physnet1"
"""How the trial overlay calls the network of the machines."""
TENANT_CIDR = "192.168.77.0/24"
FREE = (200, 240)
"""The addresses of the machines' network that the engine leaves to others, as far as the gateway's stable one does not need them."""
BUILD_SECONDS = 300
BOOT_SECONDS = 180
ATTACH_SECONDS = 90
GONE_SECONDS = 120
LOGIN_SECONDS = 20
SSH = (
    "ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
    "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5",
)  # fmt: skip


def wait_for(what: str, condition: Callable[[], Any], seconds: float, *, pause: float = 2) -> Any:
    """Wait until something is so, and return what the condition returned."""
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, f"not within {seconds:.0f} s: {what}"
        time.sleep(pause)
    return found


# What all tests share, made once and found by name afterwards


def provide_image(connection: Connection, disk: Path) -> Image:
    """Upload the guest's disk, or find it."""
    found = connection.image.find_image(GUEST)
    return found or connection.image.create_image(
        GUEST,
        filename=str(disk),
        disk_format="raw",
        container_format="bare",
        visibility="public",
        wait=True,
        timeout=BUILD_SECONDS,
    )


def provide_flavor(connection: Connection, name: str = GUEST, *, ram: int = 192, disk: int = 1) -> Flavor:
    """Make a flavor of one processor, or find it."""
    found = connection.compute.find_flavor(name)
    return found or connection.compute.create_flavor(name=name, ram=ram, vcpus=1, disk=disk)


def provide_provider_network(connection: Connection, site: Site) -> Network:
    """Make the network of the machines known as one that floating IPs are of, or find it."""
    if found := connection.network.find_network(PROVIDER):
        return found
    made = connection.network.create_network(
        name=PROVIDER,
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network=PHYSICAL_NETWORK,
    )
    unit = site.units("ceph")[0]
    (route,) = json.loads(site.shell(unit, "ip -json -4 route show default"))
    (link,) = json.loads(site.shell(unit, f"ip -json -4 address show dev {route['dev']}"))
    held = next(one for one in link["addr_info"] if one["local"] == site.address(unit))
    subnet = ipaddress.ip_interface(f"{held['local']}/{held['prefixlen']}").network
    connection.network.create_subnet(
        network_id=made.id,
        name=PROVIDER,
        ip_version=4,
        cidr=str(subnet),
        gateway_ip=route["gateway"],
        is_dhcp_enabled=False,
        allocation_pools=[{"start": str(subnet[FREE[0]]), "end": str(subnet[FREE[1]])}],
    )
    return made


def provide_network(connection: Connection, provider: Network) -> Network:
    """Make a network of a project's own with a router to the provider's, or find it."""
    if found := connection.network.find_network(TENANT):
        return found
    made = connection.network.create_network(name=TENANT)
    subnet = connection.network.create_subnet(network_id=made.id, name=TENANT, ip_version=4, cidr=TENANT_CIDR)
    router = connection.network.create_router(name=TENANT, external_gateway_info={"network_id": provider.id})
    connection.network.add_interface_to_router(router, subnet_id=subnet.id)
    return made
