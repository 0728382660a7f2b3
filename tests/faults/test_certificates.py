"""Certificates end within minutes while people work."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.integration.clients import writing

if TYPE_CHECKING:
    from collections.abc import Iterator

VALIDITY, REPLACED_SECONDS = "5m", 420
TLS_PORTS = {
    "keystone": [(15000, "")],
    "placement": [(18778, "")],
    "horizon": [(10443, "")],
    "ceph-rgw": [(17480, "")],
    "memcached": [(11211, "")],
    "ovn-central": [(port, "") for port in (6641, 6642, 6643, 6644, 16642, 16643, 16644)],
    "mysql": [(3306, "-starttls mysql"), (4567, ""), (13307, "")],
    "rabbitmq": [(5671, ""), (15691, ""), (25672, "")],
}
"""Where each application's units speak TLS, and how openssl's s_client is told to begin with it."""


def serial(cloud, unit: str, port: int, begin: str) -> str:
    """The serial number of the certificate that a port presents; "" from one that does not answer just now."""
    address = cloud.address(unit)
    told = cloud.shell(
        unit,
        f"echo | timeout 10 openssl s_client -connect {address}:{port} {begin} 2>/dev/null | openssl x509 -noout -serial",
        check=False,
    )
    found = re.fullmatch(r"serial=([0-9A-F]+)\n", told)
    return found[1] if found else ""


@contextmanager
def lasting(cloud, validity: str) -> Iterator[None]:
    """Have all certificates last so long while the block runs, and as long as before afterwards, whatever comes of it."""
    before = cloud.juju.config("certificates")["certificate-validity"]
    issue(cloud, validity)
    try:
        yield
    finally:
        issue(cloud, before)


def issue(cloud, validity: str) -> None:
    """Have all certificates issued anew, to last so long."""
    cloud.juju.config("certificates", {"certificate-validity": validity})
    cloud.juju.run(cloud.leader("certificates"), "reissue", wait=120)
    cloud.settle()


def test_certificates_that_last_minutes_are_replaced_on_every_port(cloud, users):
    """Within one life of them each port has shown two others, and each machine that starts then is let in again."""
    with lasting(cloud, VALIDITY):
        ports = [
            (unit, port, begin)
            for app, listed in TLS_PORTS.items()
            for unit in cloud.units(app)
            for port, begin in listed
        ]
        first = {port: serial(cloud, *port) for port in ports}
        assert all(first.values()), f"no certificate at {[port for port in ports if not first[port]]}"
        with writing(*users.all()):
            limit = time.monotonic() + REPLACED_SECONDS
            while same := [port for port in ports if serial(cloud, *port) in {first[port], ""}]:
                assert time.monotonic() < limit, f"still the same certificates: {same}"
                time.sleep(5)
            for unit in cloud.units("ceph"):
                cloud.power_off(unit)
                cloud.power_on(unit)
                for writer in users.all():
                    writer.wait_for(3, 90)
                cloud.wait_for_database()
                cloud.wait_for_health()
    users.verify()
    cloud.wait_for_database()
