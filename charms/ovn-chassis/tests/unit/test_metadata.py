"""Virtual machines get their metadata where there is Nova, and a chassis does without."""

import ops
import pytest
from machines import NOVA
from programs import NAMESPACE

from openinfra_charm.machine import use

ACTIVE = ops.ActiveStatus()
AGENT = "ovn-chassis-metadata.service"
CONFIG = "/etc/ovn-chassis/neutron_ovn_agent.ini"


@pytest.fixture
def served(deploy):
    """Return a model of one chassis with Nova."""
    model = deploy(1)
    model.relate_nova()
    return model


def unit_of(machine):
    return machine.read(f"/etc/systemd/system/{AGENT}")


def test_a_chassis_without_nova_has_nothing_of_it(deploy):
    machine = deploy(1).machines[0]
    assert not machine.exists("/opt/ovn-chassis")
    assert not machine.exists(CONFIG)
    assert "haproxy" not in machine.packages


def test_the_agent_runs_with_what_the_chassis_and_nova_say(served):
    machine = served.machines[0]
    assert served.statuses[0] == ACTIVE
    assert machine.chassis.agent_works
    lines = machine.read(CONFIG).splitlines()
    for line in (
        "host = machine-0",
        "nova_metadata_host = 10.0.0.9",
        "nova_metadata_port = 8775",
        "nova_metadata_protocol = https",
        "auth_ca_cert = /etc/ovn-chassis/tls/ca.pem",
        "metadata_proxy_shared_secret = a-secret-of-nova",
        "extensions = metadata",
        "ovn_sb_connection = ssl:10.0.0.5:6642",
        "ovsdb_connection = unix:/run/openvswitch/db.sock",
    ):
        assert line in lines
    node = machine.nodes[CONFIG]
    assert (node.mode, node.owner) == (0o640, ("root", "root"))
    assert {"haproxy", "iptables", "python3-openvswitch"} <= machine.packages.keys()


def test_only_the_haproxies_reach_the_agent(served):
    """Whoever reaches its socket could ask in the name of any virtual machine."""
    machine = served.machines[0]
    assert "metadata_proxy_socket = /var/lib/ovn-chassis/proxy/metadata\n" in machine.read(CONFIG)
    node = machine.nodes["/var/lib/ovn-chassis/proxy"]
    assert (node.mode, node.owner) == (0o710, ("root", "haproxy"))


def test_its_helper_can_end_an_haproxy_which_outlives_the_agent(served):
    machine = served.machines[0]
    assert "\nKillMode=process\n" in unit_of(machine)
    assert "CAP_KILL" in machine.read(CONFIG).partition("[privsep]")[2]
    (bounding,) = [
        line for line in unit_of(machine).splitlines() if line.startswith("CapabilityBoundingSet=")
    ]
    assert {"CAP_KILL", "CAP_SYS_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_SETUID"} <= set(
        bounding.partition("=")[2].split()
    )


def test_its_namespaces_are_those_of_the_machine(served):
    """With any of these systemd gives it a mount namespace of its own: nobody else would see the namespaces that it makes."""
    text = unit_of(served.machines[0])
    for directive in (
        "ProtectSystem",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "ProtectKernelTunables",
        "ProtectControlGroups",
    ):
        assert f"\n{directive}=no\n" in text
    assert "\nReadWritePaths=\n" in text


def test_the_packaged_haproxy_does_not_start(deploy):
    model = deploy(1)
    machine = model.machines[0]
    machine.enabled.add("haproxy.service")
    model.relate_nova()
    assert "haproxy.service" not in machine.enabled


def test_a_second_reconcile_changes_nothing(served):
    served.update_status()
    served.log()
    served.every()
    served.update_status()
    assert served.log() == []


def test_databases_that_move_restart_the_agent_alone(served):
    from machines import OVSDB

    machine = served.machines[0]
    starts = machine.starts[AGENT]
    served.tell(OVSDB, unit={"bound-address": "10.0.0.6"})
    served.relate(served.relations[OVSDB])
    assert "ovn_sb_connection = ssl:10.0.0.6:6642\n" in machine.read(CONFIG)
    assert machine.starts[AGENT] == starts + 1
    assert machine.chassis.exits == []


def test_until_nova_has_spoken_that_is_what_is_waited_for(deploy):
    from ops import testing

    model = deploy(1)
    model.relate(testing.Relation("nova-service", id=NOVA, remote_app_name="nova"))
    model.update_status()
    assert "for nova to say where its metadata are" in model.statuses[0].message
    assert model.machines[0].serves("ovn-controller.service")


def test_an_agent_that_does_not_run_is_named(served):
    machine = served.machines[0]
    start = machine.start_services
    machine.start_services = lambda *units: start(*(unit for unit in units if unit != AGENT))
    machine.services[AGENT] = "failed"
    served.run(0, served.on.update_status())
    assert AGENT in served.statuses[0].message


def test_without_nova_the_agent_goes_with_what_has_outlived_it(served):
    machine = served.machines[0]
    assert machine.chassis.proxies == {NAMESPACE: "4711"}
    served.unrelate(NOVA)
    assert machine.chassis.proxies == {}
    assert not machine.exists(f"/run/netns/{NAMESPACE}")
    assert not machine.exists(f"/etc/systemd/system/{AGENT}")
    assert not machine.exists("/opt/ovn-chassis/current")
    assert "haproxy" not in machine.packages
    assert served.statuses[0] == ACTIVE
    assert machine.serves("ovn-controller.service")
    assert machine.chassis.is_connected


def test_a_unit_that_goes_takes_all_of_it_along(served):
    machine = served.machines[0]
    served.remove_unit(0)
    assert machine.chassis.proxies == {}
    assert not [path for path in machine.nodes if "openinfra" in path or "ovn-chassis" in path]
    assert not {"ovn-host", "haproxy", "python3-openvswitch"} & machine.packages.keys()


def test_it_is_back_after_a_power_loss_without_the_model(served):
    machine = served.machines[0]
    machine.power_off()
    machine.power_on()
    with use(machine):
        assert machine.chassis.agent_works
    assert machine.chassis.proxies == {NAMESPACE: "4711"}
