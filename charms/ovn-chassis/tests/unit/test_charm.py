"""A machine becomes a chassis, keeps its network, and is as before when the unit goes."""

import asked
import ops
import programs
import pytest
from machines import CERTIFICATES, OVSDB

from openinfra_charm.daemon import leftovers
from openinfra_charm.machine import Result, use

ACTIVE = ops.ActiveStatus()
DAY = 86400
MAPPED = {"bridge_interface_mappings": "br-ex:eth1", "ovn_bridge_mappings": "physnet1:br-ex"}


def is_well(model):
    return all(model.statuses[number] == ACTIVE for number in model.unit_data)


# The chassis


def test_the_kernel_forwards_where_it_can(deploy):
    model = deploy(2, has_module=True)
    assert is_well(model)
    assert model.ids(1) == {
        "system-id": "machine-1",
        "hostname": "machine-1",
        "ovn-remote": "ssl:10.0.0.5:6642",
        "ovn-remote-probe-interval": "60000",
        "ovn-openflow-probe-interval": "60",
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": "10.0.0.11",
        "ovn-bridge": "br-int",
        "ovn-bridge-datapath-type": "system",
    }
    assert model.bridges(1) == {}
    assert model.machines[1].chassis.database.other_config == {}


def test_open_vswitch_forwards_where_the_kernel_cannot(deploy):
    """Tunnels need an address on a bridge of its own then; the machine's stays where it is."""
    model = deploy(2)
    assert is_well(model)
    assert model.bridges(1) == {"br-eth0": ["eth0"]}
    assert (model.ids(1)["ovn-encap-ip"], model.ids(1)["ovn-bridge-datapath-type"]) == (
        "172.27.0.11",
        "netdev",
    )
    machine = model.machines[1]
    assert "Address=172.27.0.11/16\n" in machine.read("/etc/systemd/network/05-openinfra-br-eth0.network")
    assert machine.chassis.database.other_config == {"userspace-tso-enable": "true"}
    assert machine.chassis.place_of_address == "eth0"


def test_who_forwards_is_decided_once(deploy):
    """A module that somebody loads later would have OVN make its bridge anew, under running virtual machines."""
    model = deploy(1)
    machine = model.machines[0]
    machine.have("/sys/module/openvswitch/refcnt", "0\n")
    machine.log.clear()
    model.every()
    model.update_status()
    assert model.ids()["ovn-bridge-datapath-type"] == "netdev"
    assert not [line for line in machine.log if line.startswith("restart")]
    assert model.statuses[0] == ops.ActiveStatus(
        "Open vSwitch forwards by itself, though the kernel has its module now: to have the kernel do it, remove this unit and add it again"
    )


def test_a_kernel_that_has_lost_its_module_is_named(deploy):
    model = deploy(1, has_module=True)
    model.machines[0].chassis.has_module = False
    model.machines[0].lose("/sys/module/openvswitch")
    model.every()
    assert "has no module openvswitch any more" in model.statuses[0].message
    assert model.ids()["ovn-bridge-datapath-type"] == "system"


def test_interfaces_are_watched_where_open_vswitch_forwards_and_only_there(deploy):
    machine, other = deploy(1).machines[0], deploy(1, has_module=True).machines[0]
    unit, path = "ovn-chassis-tap-guard.service", "/usr/lib/openinfra/ovn-chassis-tap-guard"
    assert (machine.serves(unit), unit in machine.enabled) == (True, True)
    assert f"ExecStart=/usr/bin/python3 {path}\n" in machine.read(f"/etc/systemd/system/{unit}")
    compile(machine.read(path), path, "exec")
    assert not other.serves(unit)
    assert not other.exists(path)


def test_the_certificate_is_for_the_chassis_name(deploy):
    """By it the southbound database knows which rows are the chassis' own."""
    import json

    from cryptography import x509

    model = deploy(1)
    (asked_for,) = json.loads(model.local[CERTIFICATES, 0]["certificate_signing_requests"])
    request = x509.load_pem_x509_csr(asked_for["certificate_signing_request"].encode())
    assert request.subject.rfc4514_string() == f"CN={model.ids()['system-id']}"


def test_a_chassis_keeps_its_name_when_the_machine_gets_another(deploy):
    model = deploy(1)
    model.machines[0].name = "renamed"
    model.run(0, model.on.config_changed())
    assert (model.ids()["system-id"], model.ids()["hostname"]) == ("machine-0", "machine-0")
    assert model.machines[0].read("/etc/openvswitch/system-id.conf") == "machine-0\n"


def test_a_second_reconcile_changes_nothing(deploy):
    model = deploy(2, **MAPPED)
    model.update_status()
    model.log()
    model.every()
    model.update_status()
    assert model.log() == []


def test_a_hook_with_nothing_new_runs_few_programs(deploy):
    model = deploy(2)
    with asked.programs(model.machines[1]) as ran:
        model.run(1, lambda relation: model.on.relation_changed(relation, remote_unit=0))
    assert sorted(ran).count("ovs-vsctl") <= 2
    assert len(ran) <= 9


def test_gateways_are_where_the_operator_wants_them(deploy):
    model = deploy(1, prefer_chassis_as_gw=True)
    assert model.ids()["ovn-cms-options"] == "enable-chassis-as-gw"
    model.configure(prefer_chassis_as_gw=False)
    assert "ovn-cms-options" not in model.ids()


def test_the_databases_move(deploy):
    model = deploy(1)
    model.tell(OVSDB, unit={"bound-address": "10.0.0.6"})
    model.relate(model.relations[OVSDB])
    assert model.ids()["ovn-remote"] == "ssl:10.0.0.6:6642"
    assert not [line for line in model.machines[0].log if line.startswith("restart ovn")]


def test_without_databases_or_a_certificate_nothing_is_a_chassis(deploy):
    model = deploy(0)
    model.relations.pop(OVSDB)
    model.add_unit()
    assert model.statuses[0] == ops.BlockedStatus(
        "integrate with OVN's databases: juju integrate ovn-chassis:ovsdb ovn-central:ovsdb"
    )
    other = deploy(0)
    other.relations.pop(CERTIFICATES)
    other.add_unit()
    assert other.statuses[0] == ops.WaitingStatus(
        "certificates: integrate with an application that provides tls-certificates"
    )
    for machine in (model.machines[0], other.machines[0]):
        assert not machine.serves(programs.CONTROLLER)
        assert machine.enabled == set()


def test_certificates_are_renewed_without_a_restart(deploy):
    model = deploy(1)
    machine = model.machines[0]
    machine.log.clear()
    machine.clock += 25 * DAY
    model.every()
    model.update_status()
    assert "renew /etc/ovn-chassis/tls/key.pem" in machine.log
    assert not [line for line in machine.log if line.startswith("restart")]


def test_a_chassis_that_is_not_connected_says_so(deploy):
    model = deploy(1)
    model.machines[0].handlers["ovn-appctl"] = lambda argv, _: "not connected\n"
    model.run(0, model.on.update_status())
    assert "ovn-controller does not reach the southbound database: not connected" in model.statuses[0].message


# Bridges and interfaces


@pytest.mark.parametrize("has_module", [True, False])
def test_an_interface_goes_into_its_bridge_by_name_or_by_mac_address(deploy, has_module):
    for word in ("eth1", "52:54:00:00:00:02", "52:54:00:00:00:99,br-ex:52:54:00:00:00:02"):
        model = deploy(
            1,
            has_module=has_module,
            bridge_interface_mappings=f"br-ex:{word}",
            ovn_bridge_mappings="physnet1:br-ex",
        )
        assert model.bridges()["br-ex"] == ["eth1"]
        assert model.ids()["ovn-bridge-mappings"] == "physnet1:br-ex"
        assert model.ids()["ovn-chassis-mac-mappings"].startswith("physnet1:0a:")
        assert is_well(model)


def test_an_interface_that_nobody_configures_is_set_up(deploy):
    model = deploy(1, **MAPPED)
    machine = model.machines[0]
    assert machine.chassis.nics[1].is_up
    machine.power_off()
    machine.chassis.nics[1].is_up = False
    machine.power_on()
    import boot

    with use(machine):
        boot.main("ovn-chassis")
    assert machine.chassis.nics[1].is_up


def test_an_unknown_interface_is_named(deploy):
    model = deploy(1, bridge_interface_mappings="br-ex:eth7")
    assert model.statuses[0] == ops.BlockedStatus(
        "bridge-interface-mappings: br-ex gets no interface: eth7 is not here; this machine has eth0 (52:54:00:00:00:01), "
        "eth1 (52:54:00:00:00:02)"
    )
    assert model.bridges() == {}


def test_an_unknown_bridge_is_named(deploy):
    model = deploy(1, ovn_bridge_mappings="physnet1:br-nowhere")
    assert model.statuses[0] == ops.BlockedStatus(
        "ovn-bridge-mappings: there is no bridge br-nowhere; name what goes into it in bridge-interface-mappings"
    )


def test_a_bridge_of_somebody_elses_is_not_touched(deploy):
    model = deploy(1, has_module=True)
    software = model.machines[0].chassis
    database = software.database
    database.bridges["br-ex"] = {"columns": {}, "ports": {"eth1": ""}}
    software._save(database)
    model.configure(bridge_interface_mappings="br-data:eth1")
    assert model.statuses[0] == ops.BlockedStatus("eth1 is in br-ex already, which ovn-chassis has not made")
    model.configure(bridge_interface_mappings="br-ex:eth1")
    assert "br-ex already, which ovn-chassis has not made" in model.statuses[0].message
    assert model.bridges() == {"br-ex": ["eth1"]}


def test_what_is_not_wanted_any_more_goes(deploy):
    model = deploy(1, **MAPPED)
    model.configure(bridge_interface_mappings="", ovn_bridge_mappings="")
    assert model.bridges() == {"br-eth0": ["eth0"]}
    assert "ovn-bridge-mappings" not in model.ids()


def test_tunnels_use_the_bridge_that_has_their_interface_already(deploy):
    model = deploy(1, bridge_interface_mappings="br-ex:eth0", ovn_bridge_mappings="physnet1:br-ex")
    assert model.bridges() == {"br-ex": ["eth0"]}
    assert "Address=172.27.0.10/16" in model.machines[0].read(
        "/etc/systemd/network/05-openinfra-br-ex.network"
    )


def test_interfaces_that_have_other_names_after_a_start_are_put_right_without_the_model(deploy):
    model = deploy(1, has_module=True, bridge_interface_mappings="br-ex:52:54:00:00:00:02")
    machine = model.machines[0]
    machine.power_off()
    machine.chassis.nics[1].name = "eth9"
    machine.power_on()
    import boot

    with use(machine):
        assert boot.main("ovn-chassis") == 0
    assert model.bridges() == {"br-ex": ["eth9"]}
    assert "ovn-chassis-ports.service" in machine.enabled


# Addresses that move


def test_the_address_of_an_interface_moves_with_it(deploy):
    model = deploy(1, has_module=True, bridge_interface_mappings="br-ex:eth0")
    machine = model.machines[0]
    assert is_well(model)
    assert model.bridges() == {"br-ex": ["eth0"]}
    assert (machine.chassis.place_of_address, machine.chassis.is_reached) == ("br-ex", True)
    assert machine.read("/etc/systemd/network/05-openinfra-br-ex.network") == (
        "# Written by openinfra for the application ovn-chassis: what networkd did for the bridge's interface.\n"
        "[Match]\nName=br-ex\n\n[Link]\nActivationPolicy=up\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nIAID=42\n"
    )
    assert "PermanentMACAddress=52:54:00:00:00:01" in machine.read(
        "/etc/systemd/network/05-openinfra-br-ex-port.network"
    )
    machine.log.clear()
    model.every()
    assert machine.log == []


def test_an_address_that_is_not_reached_afterwards_moves_back(deploy):
    model = deploy(1, has_module=True)
    machine = model.machines[0]
    machine.chassis.cut_off = True
    model.configure(bridge_interface_mappings="br-ex:eth0")
    assert model.statuses[0] == ops.BlockedStatus(
        "eth0 was moved into br-ex with its address, and 10.0.0.1 did not answer within 20 s: it is where it was"
    )
    assert model.bridges() == {}
    assert (machine.chassis.place_of_address, machine.chassis.is_reached) == ("eth0", True)
    assert not [name for name in machine.list_folder("/etc/systemd/network") if "openinfra" in name]


def test_a_hook_that_dies_while_it_moves_has_set_what_moves_back(deploy):
    model = deploy(1, has_module=True)
    machine = model.machines[0]
    model.configure(bridge_interface_mappings="br-ex:eth0")
    set_at = next(number for number, line in enumerate(machine.log) if line == "run ovn-chassis-move-back")
    moved_at = next(number for number, line in enumerate(machine.log) if "add-br br-ex" in line)
    written_at = next(
        number for number, line in enumerate(machine.log) if line.endswith("br-ex-port.network")
    )
    assert set_at < written_at < moved_at
    assert "stop ovn-chassis-move-back.timer" in machine.log


def test_an_address_that_nobody_can_vouch_for_does_not_move(deploy):
    model = deploy(1, has_module=True)
    model.machines[0].handlers["ping"] = lambda argv, _: Result(code=1, stdout="", stderr="")
    model.configure(bridge_interface_mappings="br-ex:eth0")
    assert "nobody answers there who could show that it is reached afterwards" in model.statuses[0].message
    assert model.bridges() == {}


def test_an_address_that_networkd_does_not_manage_does_not_move(deploy):
    model = deploy(1, has_module=True)
    model.machines[0].services[programs.NETWORKD] = "inactive"
    model.configure(bridge_interface_mappings="br-ex:eth0")
    assert "systemd-networkd does not run here" in model.statuses[0].message
    assert model.machines[0].chassis.is_reached


def test_the_address_is_back_when_the_bridge_goes(deploy):
    model = deploy(1, has_module=True, bridge_interface_mappings="br-ex:eth0")
    model.configure(bridge_interface_mappings="")
    assert model.machines[0].chassis.place_of_address == "eth0"
    assert model.bridges() == {}


# Going


@pytest.mark.parametrize("options", [{"has_module": True, "bridge_interface_mappings": "br-ex:eth0"}, MAPPED])
def test_a_unit_that_goes_leaves_the_machine_as_it_was(deploy, options):
    model = deploy(1, **options)
    machine = model.machines[0]
    model.remove_unit(0)
    assert machine.chassis.exits == ["for good"]
    assert machine.chassis.database.bridges == {}
    assert not [key for key in machine.chassis.database.external_ids if key.startswith("ovn-")]
    assert machine.chassis.place_of_address == "eth0"
    assert not [path for path in machine.nodes if "openinfra" in path or "ovn-chassis" in path]
    assert not machine.exists("/var/lib/openvswitch/conf.db")
    assert not machine.exists("/etc/openvswitch")
    assert not {"ovn-host", "openvswitch-switch"} & machine.packages.keys()


def test_an_open_vswitch_that_was_here_before_has_its_id_again(deploy):
    model = deploy(0)
    machine = model.make_machine(0)
    model.machines[0], model.unit_data[0] = machine, {}
    machine.have("/etc/openvswitch/system-id.conf", "5a1c\n")
    machine.packages["openvswitch-switch"] = "3.5.0-1"
    machine.kept.add("openvswitch-switch")
    for unit in ("openvswitch-switch", "ovsdb-server", "ovs-vswitchd"):
        machine.services[f"{unit}.service"] = "active"
    model.run(0, model.on.config_changed())
    model.run(0, model.on.relation_changed, relation=CERTIFICATES)
    assert model.statuses[0] == ACTIVE
    assert machine.read("/etc/openvswitch/system-id.conf") == "machine-0\n"
    model.remove_unit(0)
    assert machine.read("/etc/openvswitch/system-id.conf") == "5a1c\n"
    assert "openvswitch-switch" in machine.packages
    assert machine.serves("ovs-vswitchd.service")


def test_what_a_unit_that_went_by_force_has_left_carries_the_machine_on(deploy):
    model = deploy(1, has_module=True, bridge_interface_mappings="br-ex:eth0")
    machine = model.machines[0]
    machine.have("/var/lib/juju/agents/unit-ovn-chassis-0/agent.conf", "")
    model.run(0, model.on.config_changed())
    machine.lose("/var/lib/juju/agents/unit-ovn-chassis-0")
    machine.have("/var/lib/juju/agents/unit-host-0/agent.conf", "")
    leftovers.clear_all(machine, "host/0")
    assert not machine.serves(programs.CONTROLLER)
    assert machine.serves("ovs-vswitchd.service")
    assert (machine.chassis.place_of_address, machine.chassis.is_reached) == ("br-ex", True)


def test_an_open_vswitch_that_does_not_run_is_named(deploy):
    model = deploy(1)
    machine = model.machines[0]
    start = machine.start_services
    machine.start_services = lambda *units: start(*(unit for unit in units if unit != "ovs-vswitchd.service"))
    machine.services["ovs-vswitchd.service"] = "failed"
    model.run(0, model.on.update_status())
    assert model.statuses[0] == ops.BlockedStatus(
        "Open vSwitch does not run; see juju ssh ovn-chassis/0 journalctl -u ovs-vswitchd.service"
    )


def test_ovn_controller_restarts_without_giving_the_chassis_up(deploy):
    model = deploy(1)
    machine = model.machines[0]
    machine.have(
        "/var/lib/openinfra/ovn-chassis/services/ovn-controller.service", "another version of the charm"
    )
    model.run(0, model.on.update_status())
    assert machine.chassis.exits == ["restart"]
    assert is_well(model)


def test_another_application_on_the_machine_blocks(deploy):
    first = deploy(1)
    machine = first.machines[0]
    second = deploy(0)
    second.application, second.context = "other", type(second.context)(second.charm, app_name="other")
    second.machines, second.unit_data = {0: machine}, {0: {}}
    machine.log.clear()
    second.run(0, second.on.config_changed())
    assert second.statuses[0] == ops.BlockedStatus(
        "ovn-chassis/0 runs ovn-controller on this machine already: remove one of the two"
    )
    second.run(0, second.on.stop())
    second.run(0, second.on.remove(), formed=False)
    assert machine.log == []


# What reaches whom


def test_packets_of_full_size_reach_others(deploy):
    model = deploy(2)
    model.update_status()
    found = model.action(0, "check-mtu")
    assert (
        found["summary"]
        == "packets of 1500 bytes reach 1 other chassis; 1442 are left for virtual machines on all of them"
    )
    assert found["result"] == {"ovn-chassis/1": {"address": "172.27.0.11", "mtu": 1500, "reached": True}}


def test_packets_that_are_dropped_on_the_way_are_named(deploy):
    model = deploy(2)
    model.machines[0].chassis.small = True
    model.update_status()
    assert model.statuses[0] == ops.ActiveStatus(
        "packets of 1500 bytes do not reach ovn-chassis/1 (172.27.0.11): see check-mtu"
    )
    assert "ovn-chassis/1 (172.27.0.11, 1500 bytes)" in model.refuse(0, "check-mtu")
    model.machines[0].chassis.small = False
    model.update_status()
    assert model.statuses[0] == ACTIVE


def test_a_virtual_machine_that_sends_more_than_tunnels_take_is_named(deploy):
    """The smallest chassis counts: a virtual machine may be moved there, or speak with one there."""
    model = deploy(2, **MAPPED)
    software = model.machines[0].chassis
    database = software.database
    database.guests = {"tap1": 1442, "tap2": 1500}
    software._save(database)
    model.update_status()
    assert is_well(model)
    software.nics[0].mtu = model.machines[1].chassis.nics[0].mtu = 1450
    for number in (0, 1):
        model.machines[number].have("/sys/class/net/eth0/mtu", "1450\n")
    model.every()
    model.update_status()
    assert model.statuses[0] == ops.ActiveStatus(
        "tap1 of a virtual machine has an MTU of 1442, and tunnels have room for 1392: set Neutron's global_physnet_mtu to 1450"
    )
    database.guests = {"tap1": 1392}
    software._save(database)
    model.update_status()
    assert is_well(model)


def test_the_tunnels_bridge_follows_its_interface(deploy):
    model = deploy(1)
    machine = model.machines[0]
    machine.have("/sys/class/net/br-eth0/mtu", "1500\n")
    machine.chassis.nics[0].mtu = 9000
    model.every()
    assert machine.chassis.database.bridges["br-eth0"]["columns"]["mtu"] == "9000"


def test_the_chassis_is_shown(deploy):
    model = deploy(1, **MAPPED)
    shown = model.action(0, "show-chassis")
    assert shown["summary"] == "chassis machine-0: userspace datapath, tunnels end at 172.27.0.10, connected"
    assert shown["result"] == {
        "name": "machine-0",
        "datapath": "userspace",
        "tunnel-address": "172.27.0.10",
        "mtu": 1500,
        "tenant-mtu": 1442,
        "smallest-mtu": 1500,
        "bridges": {"br-eth0": ["eth0"], "br-ex": ["eth1"]},
        "mappings": "physnet1:br-ex",
        "connection": "connected",
    }


def test_a_paused_unit_stays_stopped(deploy):
    model = deploy(1)
    model.action(0, "pause")
    model.update_status()
    assert model.statuses[0] == ops.MaintenanceStatus("paused; start it again: juju run ovn-chassis/0 resume")
    assert not model.machines[0].serves(programs.CONTROLLER)
    model.action(0, "resume")
    model.update_status()
    assert is_well(model)
