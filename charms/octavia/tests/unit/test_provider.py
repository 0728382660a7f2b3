"""What of Octavia's provider is another way here, with stand-ins for the provider itself."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

FILES = Path(__file__).parents[2] / "src/files"


class DriverLibrary:
    """As octavia_lib has it."""

    def __init__(self, status="/var/run/octavia/status.sock", stats="stats.sock", get="get.sock"):
        self.sockets = status, stats, get


class Helper:
    """As the provider has it."""

    def _create_neutron_port(self, neutron_client, name, network, address=None):
        return neutron_client.create_port(name=name, network_id=network, address=address)


@pytest.fixture
def provider(monkeypatch):
    """Load the module in a process that is told where the agent is."""
    parts = {
        "octavia_lib": SimpleNamespace(),
        "octavia_lib.api": SimpleNamespace(),
        "octavia_lib.api.drivers": SimpleNamespace(driver_lib=SimpleNamespace(DriverLibrary=DriverLibrary)),
        "ovn_octavia_provider": SimpleNamespace(helper=SimpleNamespace(OvnProviderHelper=Helper)),
    }
    for name, part in parts.items():
        monkeypatch.setitem(sys.modules, name, part)
    monkeypatch.setattr(DriverLibrary.__init__, "__defaults__", DriverLibrary.__init__.__defaults__)
    monkeypatch.setattr(Helper, "_create_neutron_port", Helper._create_neutron_port)
    monkeypatch.setenv("OPENINFRA_AGENT", "/var/lib/octavia")
    monkeypatch.syspath_prepend(str(FILES))
    monkeypatch.delitem(sys.modules, "octavia_ovn", raising=False)
    return importlib.import_module("octavia_ovn")


@pytest.mark.usefixtures("provider")
def test_the_provider_finds_the_agent_of_its_application():
    assert DriverLibrary().sockets == (
        "/var/lib/octavia/status.sock", "/var/lib/octavia/stats.sock", "/var/lib/octavia/get.sock",
    )  # fmt: skip


@pytest.mark.usefixtures("provider")
def test_the_port_of_a_load_balancer_belongs_to_it_and_cannot_be_given_to_a_server():
    client = SimpleNamespace(create_port=lambda **port: port, networks=list)
    port = Helper()._create_neutron_port(client, "ovn-lb-vip-1", "net", address="192.168.7.9")
    assert port == {
        "name": "ovn-lb-vip-1", "network_id": "net", "address": "192.168.7.9",
        "device_owner": "Octavia", "device_id": "ovn-lb-vip-1",
    }  # fmt: skip


def test_the_client_of_neutron_is_otherwise_the_same(provider):
    assert provider._Owning(SimpleNamespace(networks=lambda: ["net"]), "lb").networks() == ["net"]
