"""Options are checked where they are read."""

import ipaddress

import pytest

from openinfra_charm.model.addresses import Place
from openinfra_charm.model.status import ConfigError
from state import Settings, tunnel_address


def test_the_defaults_can_be_used(defaults):
    assert Settings.parse(defaults) == Settings(tunnel_network=ipaddress.ip_network("172.27.0.0/16"))


def test_mappings_are_read(defaults):
    options = {
        "ovn-bridge-mappings": "physnet1:br-ex, physnet2:br-data",
        "bridge-interface-mappings": "br-ex:eth1 br-ex:52:54:00:AA:00:01 br-data:eth2",
        "prefer-chassis-as-gw": True,
    }
    settings = Settings.parse(defaults | options)
    assert settings.physnets == {"physnet1": "br-ex", "physnet2": "br-data"}
    assert settings.interfaces == {"br-ex": ("eth1", "52:54:00:aa:00:01"), "br-data": ("eth2",)}
    assert settings.gateway


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ovn-bridge-mappings", "physnet1"),
        ("ovn-bridge-mappings", "physnet1:br-int"),
        ("ovn-bridge-mappings", "physnet1:br-ex physnet1:br-data"),
        ("ovn-bridge-mappings", "physnet1:a-name-that-is-too-long"),
        ("bridge-interface-mappings", "br-ex"),
        ("bridge-interface-mappings", "br-int:eth1"),
        ("bridge-interface-mappings", "br-ex:52:54:00"),
        ("bridge-interface-mappings", "br-ex:eth1 br-data:eth1"),
        ("userspace-tunnel-network", "172.27.0.1/16"),
        ("userspace-tunnel-network", "172.27.0.0/30"),
        ("userspace-tunnel-network", "anywhere"),
    ],
)
def test_what_cannot_be_used_is_named(defaults, option, value):
    with pytest.raises(ConfigError, match=f"config {option}="):
        Settings.parse(defaults | {option: value})


@pytest.mark.parametrize(
    ("network", "address", "tunnel"),
    [("172.27.0.0/16", "10.77.3.12", "172.27.3.12/16"), ("fd27::/64", "fd00::5", "fd27::5/64")],
)
def test_the_tunnels_address_ends_like_the_machines(network, address, tunnel):
    place = Place(address=address, interface="eth0", subnets=(), ingress=address)
    assert tunnel_address(ipaddress.ip_network(network), place) == tunnel
