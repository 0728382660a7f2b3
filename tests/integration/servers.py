"""Servers as people have them: the SDK's calls that they make for one, and SSH to it from this host."""

from __future__ import annotations

import base64
import contextlib
import copy
import ipaddress
import json
import shutil
import subprocess
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from openstack.exceptions import ResourceFailure, ResourceTimeout

from openinfra_model import host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from openstack.block_storage.v3.volume import Volume
    from openstack.compute.v2.flavor import Flavor
    from openstack.compute.v2.server import Server
    from openstack.connection import Connection
    from openstack.image.v2.image import Image
    from openstack.network.v2.network import Network
    from openstack.network.v2.port import Port

    from .site import Site

GUEST = "guest"
"""What the tests' image, flavor, key pair and security group are called."""
PROVIDER, TENANT = "public", "tenant"
PHYSICAL_NETWORK = "physnet1"
"""How the trial overlay calls the network of the machines."""
TENANT_CIDR = "192.168.77.0/24"
FREE = (200, 240)
"""The addresses of the machines' network that the engine leaves to others, as far as the gateway's stable one does not need them."""
BUILD_SECONDS = 300
BOOT_SECONDS = 240
VOLUME_SECONDS = 120
MOVE_SECONDS = 300
COMMAND_SECONDS = 60
SSH = (
    "ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
    "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
)  # fmt: skip
WRONG_SSH = 255
"""What ssh itself ends with when it has not reached the other side, or lost it."""


class UnreachableError(AssertionError):
    """Nobody answers at a server's address, or lets its key in."""


def wait_for(what: str, condition: Callable[[], Any], seconds: float, *, pause: float = 2) -> Any:
    """Wait until something is so, and return what the condition returned."""
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, f"not within {seconds:.0f} s: {what}"
        time.sleep(pause)
    return found


class Guest:
    """A server with the guest's image, which is reached by SSH at its floating IP, without any API."""

    def __init__(self, server: Server, address: str, key: Path) -> None:
        self.id, self.name = str(server.id), str(server.name)
        self.address = address
        self._key = key

    def with_key(self, key: Path) -> Guest:
        """Return the same server as somebody sees it who has another key."""
        other = copy.copy(self)
        other._key = key
        return other

    def run(
        self, command: str, *, stdin: str = "", check: bool = True, seconds: float = COMMAND_SECONDS
    ) -> str:
        """Run a shell command in it.

        Raises:
            UnreachableError: It is not reached.
        """
        words = (*SSH, "-i", str(self._key), f"root@{self.address}", command)
        try:
            done = subprocess.run(
                words,
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UnreachableError(f"{self.name} has not done within {seconds:.0f} s: {command}") from None
        if done.returncode == WRONG_SSH:
            raise UnreachableError(f"{self.name} at {self.address}: {done.stderr.strip()}")
        assert not check or done.returncode == 0, f"{self.name}: {command}: {done.stderr or done.stdout}"
        return done.stdout

    def answers(self) -> bool:
        """Tell whether one can log in."""
        try:
            return self.run("echo here", seconds=20) == "here\n"
        except UnreachableError:
            return False

    def start(self, command: str) -> None:
        """Have a command run on when nobody is logged in any more."""
        self.run(f"setsid sh -c {_quoted(command)} >/dev/null 2>&1 </dev/null &")

    def device_of(self, volume: Volume) -> str:
        """Return the device that a volume is here, empty where it is none: its serial number is the beginning of its id."""
        found = self.run(f"grep -l {volume.id[:20]} /sys/block/vd*/serial", check=False).split()
        return f"/dev/{found[0].split('/')[3]}" if found else ""

    def write(self, device: str, mebibytes: int = 8) -> str:
        """Write what nobody else has to the beginning of a device; return its digest."""
        self.run(
            f"dd if=/dev/urandom of=/tmp/written bs=1M count={mebibytes} 2>/dev/null && "
            f"dd if=/tmp/written of={device} bs=1M conv=fsync 2>/dev/null && rm /tmp/written"
        )
        return self.digest(device, mebibytes)

    def digest(self, device: str, mebibytes: int = 8) -> str:
        """Return the digest of the beginning of a device, as it is on the disk."""
        # What was read before is forgotten first.
        self.run("echo 3 > /proc/sys/vm/drop_caches")
        return self.run(f"dd if={device} bs=1M count={mebibytes} 2>/dev/null | sha256sum").split()[0]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


class Servers:
    """What a person does with servers. All that is made is of the connection's project."""

    def __init__(
        self,
        connection: Connection,
        *,
        image: Image,
        flavor: Flavor,
        network: Network,
        provider: Network,
        folder: Path,
    ) -> None:
        self.connection = connection
        self.image, self.flavor, self.network, self.provider = image, flavor, network, provider
        self.key = self.make_key(folder)
        # A key of an earlier run is of no use: its private half has gone with its folder.
        if found := connection.compute.find_keypair(GUEST):
            connection.compute.delete_keypair(found)
        public = self.key.with_suffix(".pub").read_text()
        connection.compute.create_keypair(name=GUEST, public_key=public)
        self.group = self._provide_group()

    @staticmethod
    def make_key(folder: Path) -> Path:
        """Make a key in a folder; return where its private half is."""
        if not shutil.which("ssh-keygen"):
            host.install_packages(["openssh-client"])
        path = folder / "key"
        command = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(path)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return path

    def _provide_group(self) -> str:
        """Return a security group that lets SSH and pings in."""
        if found := self.connection.network.find_security_group(GUEST):
            return found.id
        group = self.connection.network.create_security_group(name=GUEST)
        self.let_in(group.id, protocol="icmp")
        self.let_in(group.id, protocol="tcp", port=22)
        return group.id

    def let_in(self, group: str, *, protocol: str, port: int = 0) -> str:
        """Add a rule to a security group by which others reach a port of its members, or may ping; return it."""
        ports = {"port_range_min": port, "port_range_max": port} if port else {}
        return self.connection.network.create_security_group_rule(
            security_group_id=group, direction="ingress", ether_type="IPv4", protocol=protocol, **ports
        ).id

    def provide_flavor(self, name: str, *, ram: int) -> Flavor:
        """Make a flavor with the guest's disk, or find it."""
        return provide_flavor(self.connection, name, ram=ram)

    # Servers

    def hosts(self) -> list[str]:
        """Return the hosts on which servers can be."""
        services = self.connection.compute.services(binary="nova-compute")
        return sorted(one.host for one in services if one.state == "up" and one.status == "enabled")

    def get(self, guest: Guest) -> Server:
        """Return a server as the API has it now."""
        return self.connection.compute.get_server(guest.id)

    def host_of(self, guest: Guest) -> str:
        """Return the host on which a server is."""
        return str(self.get(guest).compute_host)

    def create(self, name: str, *, host: str = "", user_data: str = "", **attrs: Any) -> Server:
        """Ask for a server, and wait until it is active."""
        # A project may have several of one name.
        given: dict[str, Any] = {
            "name": f"{name}-{uuid.uuid4().hex[:6]}",
            "flavor_id": self.flavor.id,
            "image_id": self.image.id,
            "networks": [{"uuid": self.network.id}],
            "key_name": GUEST,
            "security_groups": [{"name": self.group}],
            **({"host": host} if host else {}),
            **({"user_data": base64.b64encode(user_data.encode()).decode()} if user_data else {}),
        } | attrs
        server = self.connection.compute.create_server(
            **{key: value for key, value in given.items() if value is not None}
        )
        return self.wait(server.id, "ACTIVE", BUILD_SECONDS)

    def wait(self, server: str, status: str, seconds: float) -> Server:
        """Wait until a server has a status, and nothing goes on with it."""
        limit = time.monotonic() + seconds
        while True:
            found = self.connection.compute.get_server(server)
            if found.status == status and not found.task_state:
                return found
            failed = found.status == "ERROR" and status != "ERROR"
            assert not failed, f"{found.name} is in ERROR on {found.compute_host}: {found.fault}"
            assert time.monotonic() < limit, (
                f"{found.name} is {found.status} ({found.task_state}) and not {status} within {seconds:.0f} s"
            )
            time.sleep(2)

    def port_of(self, server: str) -> Port:
        """Return a server's port."""
        (port,) = self.connection.network.ports(device_id=server)
        return port

    def make(self, name: str, **attrs: Any) -> Guest:
        """Make a server with a floating IP, and wait until one can log in."""
        server = self.create(name, **attrs)
        return self.reach(server)

    def reach(self, server: Server) -> Guest:
        """Give a server a floating IP, and wait until one can log in there."""
        address = self.connection.network.create_ip(
            floating_network_id=self.provider.id, port_id=self.port_of(server.id).id
        )
        guest = Guest(server, address.floating_ip_address, self.key)
        self.wait_for_login(guest)
        return guest

    def wait_for_login(self, guest: Guest, seconds: float = BOOT_SECONDS) -> None:
        """Wait until one can log in; fail with what the server's console shows."""
        limit = time.monotonic() + seconds
        while not guest.answers():
            assert time.monotonic() < limit, (
                f"nobody can log in to {guest.name} at {guest.address} within {seconds:.0f} s; its console:\n"
                + self.console(guest.id)
            )
            time.sleep(2)

    def console(self, server: str) -> str:
        """Return the end of what a server has written to its serial console."""
        return self.connection.compute.get_server_console_output(server, length=30)["output"]

    def remove(self, server: str) -> None:
        """Remove a server, with its floating IPs."""
        for port in self.connection.network.ports(device_id=server):
            for address in self.connection.network.ips(port_id=port.id):
                self.connection.network.delete_ip(address)
        if found := self.connection.compute.find_server(server):
            self.connection.compute.delete_server(found)
            self.connection.compute.wait_for_delete(found, wait=VOLUME_SECONDS)

    @contextmanager
    def server(self, name: str, **attrs: Any) -> Iterator[Guest]:
        """Have a server for as long as the block runs."""
        guest = self.make(name, **attrs)
        try:
            yield guest
        finally:
            self.remove(guest.id)

    def move(self, guest: Guest, host: str = "") -> str:
        """Have a running server move to another host; return where it is."""
        before = self.host_of(guest)
        self.connection.compute.live_migrate_server(guest.id, host=host or None)
        wait_for(f"{guest.name} leaves {before}", lambda: self._has_left(guest, before), MOVE_SECONDS)
        return self.host_of(guest)

    def _has_left(self, guest: Guest, before: str) -> bool:
        server = self.get(guest)
        assert server.status != "ERROR", f"{guest.name} is in ERROR: {server.fault}"
        if server.task_state or server.status == "MIGRATING":
            return False
        moves = self.connection.compute.migrations(instance_uuid=guest.id)
        newest = max(moves, key=lambda one: one.id, default=None)
        assert newest is None or newest.status not in {"error", "failed", "cancelled"}, (
            f"{guest.name} was not moved from {before}: the migration is {newest and newest.status}"
        )
        return str(server.compute_host) != before

    # Volumes

    @contextmanager
    def volume(self, size: int = 1, **attrs: Any) -> Iterator[Volume]:
        """Have a volume of so many GiB for as long as the block runs."""
        storage = self.connection.block_storage
        volume = storage.create_volume(size=size, name=f"volume-{uuid.uuid4().hex[:6]}", **attrs)
        try:
            yield self.wait_for_volume(volume, "available")
        finally:
            # One that is still attached goes with its server.
            with contextlib.suppress(ResourceTimeout, ResourceFailure):
                storage.wait_for_status(storage.get_volume(volume), "available", wait=VOLUME_SECONDS)
            storage.delete_volume(volume, ignore_missing=True)
            storage.wait_for_delete(volume, wait=VOLUME_SECONDS)

    def wait_for_volume(self, volume: Volume, status: str) -> Volume:
        """Wait until a volume has a status."""
        return self.connection.block_storage.wait_for_status(
            volume, status, failures=["error"], wait=VOLUME_SECONDS
        )

    def attach(self, guest: Guest, volume: Volume) -> str:
        """Attach a volume; return the device that it is in the server."""
        self.connection.compute.create_volume_attachment(guest.id, volume=volume)
        self.wait_for_volume(volume, "in-use")
        return wait_for(f"{guest.name} sees {volume.id}", lambda: guest.device_of(volume), VOLUME_SECONDS)

    def detach(self, guest: Guest, volume: Volume) -> None:
        """Detach a volume, and wait until the server does not have it any more."""
        self.connection.compute.delete_volume_attachment(guest.id, volume)
        self.wait_for_volume(volume, "available")
        wait_for(f"{guest.name} loses {volume.id}", lambda: not guest.device_of(volume), VOLUME_SECONDS)


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
