"""Daemons of a chassis die, and its machine stays on the network."""

from __future__ import annotations

import json
import time

import pytest

BACK_SECONDS = 60


def registered(cloud) -> dict[str, str]:
    """Return the chassis that the southbound database has, each with its tunnels' address."""
    asked = "ovn-sbctl --no-leader-only --format=json --columns=chassis_name,ip list Encap"
    table = json.loads(cloud.shell(cloud.units("ovn-central")[0], asked))
    return dict(table["data"])


def shown(cloud) -> dict[str, str]:
    """Return the units' chassis, as they show themselves."""
    found = (cloud.run(unit, "show-chassis") for unit in cloud.units("ovn-chassis"))
    return {one["name"]: one["tunnel-address"] for one in found}


def test_each_machine_is_a_chassis(cloud):
    assert registered(cloud) == shown(cloud)
    for unit in cloud.units("ovn-chassis"):
        assert all(one["reached"] for one in cloud.run(unit, "check-mtu").values())


@pytest.mark.parametrize(
    "service", ["ovn-controller.service", "ovs-vswitchd.service", "ovsdb-server.service"]
)
def test_a_killed_daemon_comes_back_by_itself(cloud, service):
    for unit in cloud.units("ovn-chassis"):
        cloud.shell(unit, f"systemctl kill --signal=KILL {service}")
        limit = time.monotonic() + BACK_SECONDS
        asked = "timeout 5 ovn-appctl -t ovn-controller connection-status"
        while cloud.shell(unit, asked, check=False) != "connected\n":
            assert time.monotonic() < limit, f"{unit} is not connected again"
            time.sleep(1)
    cloud.settle()
    for unit in cloud.units("ovn-chassis"):
        # The tunnels' address is on the bridge again, and all machines reach each other by it.
        assert all(one["reached"] for one in cloud.run(unit, "check-mtu").values())
    assert registered(cloud) == shown(cloud)


def test_a_restarted_machine_is_the_same_chassis(cloud):
    before = registered(cloud)
    unit = cloud.units("ovn-chassis")[0]
    cloud.power_off(unit)
    cloud.power_on(unit)
    cloud.settle()
    cloud.wait_for_database()
    cloud.wait_for_health()
    assert registered(cloud) == before
    cloud.run(unit, "check-mtu")


def test_bad_mappings_are_refused_by_name_and_change_nothing(cloud):
    unit = cloud.units("ovn-chassis")[0]
    before = cloud.run(unit, "show-chassis")["bridges"]
    for option, value, words in (
        ("bridge-interface-mappings", "br-ex:nowhere0", "nowhere0 is not here"),
        ("ovn-bridge-mappings", "physnet1:br-nowhere", "there is no bridge br-nowhere"),
    ):
        cloud.juju.config("ovn-chassis", {option: value})
        cloud.juju.wait(
            lambda status, words=words: (
                words in status.get_units("ovn-chassis")[unit].workload_status.message
            ),
            timeout=120,
        )
        assert cloud.run(unit, "show-chassis")["bridges"] == before
        cloud.juju.config("ovn-chassis", reset=option)
        cloud.settle()


def test_a_provider_network_is_brought_and_taken_away(cloud):
    """The interface with the machine's address stays with the machine: it forwards in user space here."""
    options = {"bridge-interface-mappings": "br-ex:eth0", "ovn-bridge-mappings": "physnet1:br-ex"}
    cloud.juju.config("ovn-chassis", options)
    cloud.settle()
    for unit in cloud.units("ovn-chassis"):
        assert cloud.run(unit, "show-chassis")["bridges"]["br-ex"] == ["eth0"]
        cloud.run(unit, "check-mtu")
    cloud.juju.config("ovn-chassis", reset=list(options))
    cloud.settle()
    for unit in cloud.units("ovn-chassis"):
        assert "br-ex" not in cloud.run(unit, "show-chassis")["bridges"]
        cloud.run(unit, "check-mtu")
