"""What is Neutron's own; what every OpenStack API does is tested with `tests/probes/notes`."""

import configparser
import json

import ops
import pytest
from api_model import BROKER, DATABASE, GATEWAY, IDENTITY, NETWORKS
from ops import testing

API, FRONT = "neutron-api.service", "neutron-front.service"
PERIODIC, MAINTENANCE = "neutron-periodic.service", "neutron-ovn-maintenance.service"
CONFIG = "/etc/neutron/neutron.conf"
PROBES = {"bfd-min-rx": "1000", "bfd-min-tx": "100", "bfd-mult": "3"}


def configuration(machine, path=CONFIG):
    parser = configparser.RawConfigParser(strict=False, default_section="")
    parser.read_string(machine.read(path))
    return parser


def unit_of(machine, unit=API):
    return machine.read(f"/etc/systemd/system/{unit}")


def starts(model, unit):
    return [machine.starts[unit] for machine in model.machines.values()]


def test_units_serve_with_a_schema_that_was_made_once(three):
    assert {status.name for status in three.statuses.values()} == {"active"}
    assert three.done == ["heads", "tables of database"]
    for unit in (API, FRONT, PERIODIC, MAINTENANCE):
        assert starts(three, unit) == [1, 1, 1], unit


def test_a_hook_with_nothing_new_changes_nothing(three):
    three.relate_gateway("10.0.0.100:9696")
    three.update_status()
    three.update_status()
    before = three.snapshot()
    three.log()
    three.every()
    three.every(three.on.update_status())
    assert three.log() == []
    assert three.snapshot() == before


@pytest.mark.parametrize(
    ("relation", "words"),
    [
        (BROKER, "no messaging: juju integrate neutron rabbitmq"),
        (NETWORKS, "no networks: juju integrate neutron ovn-central"),
    ],
)
def test_without_what_it_needs_it_says_what_to_do(one, relation, words):
    one.unrelate(relation)
    assert one.statuses[0].name == "blocked"
    assert words in one.statuses[0].message


def test_ovns_databases_are_reached_as_the_unit(one):
    ovn = configuration(one.machines[0])["ovn"]
    assert ovn["ovn_nb_connection"] == "ssl:10.0.0.7:6641"
    assert ovn["ovn_sb_connection"] == "ssl:10.0.0.7:16642"
    assert ovn["ovn_nb_private_key"] == ovn["ovn_sb_private_key"] == "/etc/neutron/tls/key.pem"
    assert ovn.getboolean("ovn_metadata_enabled")


def test_another_server_of_ovns_restarts_what_reads_its_place_once(one):
    one.tell(NETWORKS, unit={"bound-address": "10.0.0.8"})
    one.every()
    one.update_status()
    assert configuration(one.machines[0])["ovn"]["ovn_nb_connection"] == "ssl:10.0.0.8:6641"
    for unit in (API, PERIODIC, MAINTENANCE):
        assert starts(one, unit) == [2], unit


def test_what_runs_is_what_shares_ovns_events(one):
    one.configure(workers=5)
    config = configuration(one.machines[0])["DEFAULT"]
    assert config["api_workers"] == "5"
    assert "--processes 5 " in unit_of(one.machines[0])
    assert "\nEnvironment=OPENINFRA_WSGI=neutron_wsgi:application\n" in unit_of(one.machines[0])
    # No agent uses the broker: nothing answers there.
    assert config["rpc_workers"] == config["rpc_state_report_workers"] == "0"


def test_both_releases_find_their_name_for_types_of_networks(one):
    one.configure(project_network_types="vlan geneve", vlan_ranges="physnet1:100:199, physnet2")
    config = configuration(one.machines[0])
    assert config["ml2"]["tenant_network_types"] == config["ml2"]["project_network_types"] == "vlan,geneve"
    assert config["ml2_type_vlan"]["network_vlan_ranges"] == "physnet1:100:199,physnet2"


def test_guests_never_get_the_resolvers_of_the_servers_machine(one):
    assert configuration(one.machines[0])["ovn"]["dns_servers"] == "0.0.0.0,::"
    one.configure(dns_servers="10.0.0.53 fd00::53")
    assert configuration(one.machines[0])["ovn"]["dns_servers"] == "10.0.0.53,fd00::53"


def test_what_was_learned_is_forgotten_again(one):
    ovn = configuration(one.machines[0])["ovn"]
    assert int(ovn["fdb_age_threshold"]) > 0
    assert int(ovn["mac_binding_age_threshold"]) > 0


def test_nova_and_placement_are_asked_inside_as_its_own_user(one):
    config = configuration(one.machines[0])
    for service in ("nova", "placement"):
        assert config[service]["password"] == "token-password"
        assert config[service]["endpoint_type"] == "internal"
        assert config[service]["cafile"] == "/etc/neutron/tls/ca.pem"
    # Nova takes events from who has both.
    assert "roles-enough" not in one.local[IDENTITY, "app"]


def test_gateways_move_as_soon_as_the_options_say(three):
    assert [machine.api.options for machine in three.machines.values()] == [PROBES, {}, {}]
    ran = [line for line in three.machines[0].argv if line.startswith("ovsdb-client")]
    assert len(ran) == 1
    assert " ssl:10.0.0.7:6641 " in ran[0]
    three.configure(gateway_probe_interval=300, gateway_probes=10)
    assert three.machines[0].api.options == {"bfd-min-rx": "300", "bfd-min-tx": "30", "bfd-mult": "10"}
    ovn = configuration(three.machines[0])["ovn"]
    # Neutron's other strategies: one of them writes what OVS cannot read.
    assert (ovn["ha_failover_strategy"], ovn["bfd_min_rx"], ovn["bfd_mult"]) == ("manual", "300", "10")


def test_a_northbound_database_that_refuses_is_waited_for(one):
    one.machines[0].api.programs["ovsdb-client"] = lambda *_: '[{"error": "not leader", "details": ""}]'
    one.machines[0].bring(one.machines[0].api)
    one.configure(gateway_probes=5)
    assert one.statuses[0].name == "waiting"
    assert "for OVN's databases: " in one.statuses[0].message


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("physical_mtu", 1200),
        ("physical_network_mtus", "physnet1"),
        ("physical_network_mtus", "physnet1:99999"),
        ("flat_networks", "* physnet1"),
        ("vlan_ranges", "physnet1:10"),
        ("vlan_ranges", "physnet1:200:100"),
        ("vlan_ranges", "physnet1:1:5000"),
        ("project_network_types", "vxlan"),
        ("project_network_types", "vlan"),
        ("project_network_types", ""),
        ("geneve_networks", 100000),
        ("dns_domain", "not a domain"),
        ("dns_servers", "one.example"),
        ("gateway_probe_interval", 5),
        ("gateway_probes", 1),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(one, option, value):
    before = one.machines[0].read(CONFIG)
    one.configure(**{option: value})
    assert one.statuses[0].name == "blocked"
    assert option.replace("_", "-") in one.statuses[0].message
    assert one.machines[0].read(CONFIG) == before


def test_clients_find_it_in_the_catalogue_at_the_gateway(three):
    three.relate_gateway("cloud.example:9696")
    three.tell(GATEWAY, app={"internal-endpoints": '["10.1.0.100:9696"]'})
    three.update_status()
    (endpoint,) = json.loads(three.local[IDENTITY, "app"]["service-endpoints"])
    assert (endpoint["service_name"], endpoint["type"]) == ("neutron", "network")
    assert endpoint["public_url"] == "https://cloud.example:9696"
    assert endpoint["internal_url"] == "https://10.1.0.100:9696"


def test_an_operators_lines_are_taken_or_refused(one):
    one.configure(extra_config="[quotas]\nquota_port = 1000")
    assert configuration(one.machines[0])["quotas"]["quota_port"] == "1000"
    one.configure(extra_config="[ovn]\nneutron_sync_mode = repair")
    assert "[ovn] neutron_sync_mode it sets itself" in one.statuses[0].message


def test_the_schema_is_expanded_first_and_contracted_when_there_is_no_way_back(deploy):
    model = deploy(3, release="2025.2")
    before = len(model.done)
    model.action(0, "upgrade-release", release=2026.1, backup="monday")
    for _ in range(3):
        model.update_status()
    assert "2026.1 runs; to end the upgrade: finish-upgrade" in model.statuses[0].message
    assert model.done[before:] == ["--expand"]
    model.action(0, "finish-upgrade")
    model.update_status()
    assert model.done[before:] == ["--expand", "--contract"]
    assert {status.name for status in model.statuses.values()} == {"active"}


def test_a_restored_database_is_brought_to_this_release(one):
    before = len(one.done)
    one.tell(DATABASE, {"restored": "1"})
    one.every()
    assert one.done[before:] == ["heads", "tables of database"]


def test_two_applications_have_nothing_in_common(east):
    machine = east.machines[0]
    assert east.statuses[0] == ops.ActiveStatus()
    assert (
        configuration(machine, "/etc/neutron-east/neutron.conf")["DEFAULT"]["state_path"]
        == "/var/lib/neutron-east"
    )
    assert "\nEnvironment=OS_NEUTRON_CONFIG_DIR=/etc/neutron-east\n" in unit_of(
        machine, "neutron-east-api.service"
    )
    own = [path for path in machine.nodes if not path.startswith("/opt/openinfra/")]
    assert not [path for path in own if "/neutron/" in path or path.endswith("/neutron")]


def test_nothing_is_left_on_the_machine(one):
    machine = one.machines[0]
    one.run(0, one.on.stop())
    one.run(0, one.on.remove(), formed=False)
    left = [path for path, node in machine.nodes.items() if node.content is not None and "neutron" in path]
    assert left == []
    assert "neutron" not in machine.users


# What OVN's databases have beside what they should


def test_what_differs_is_listed_and_nothing_changed(one):
    one.machines[0].api.differences = [
        "Router found in Neutron but not in OVN NB DB, router id=1",
        "chassis c is gone",
    ]
    said = one.action(0, "check-ovn")
    assert said["summary"].startswith("2 differences: Router found in Neutron but not in OVN NB DB")
    assert "repair" not in one.done
    assert one.machines[0].api.serves


def test_databases_that_are_alike_are_said_to_be(one):
    assert one.action(0, "check-ovn")["summary"] == "OVN's databases are as Neutron's"


def test_a_comparison_that_takes_longer_is_a_job(one):
    one.machines[0].running.slow = True
    said = one.action(0, "check-ovn")
    assert "goes on: juju run neutron/0 show-job job-id=check-ovn-2" in said["summary"]
    one.machines[0].running.slow = False
    one.update_status()
    assert "OVN's databases are as Neutron's" in one.action(0, "show-job")["summary"]


def test_each_comparison_is_a_new_one(one):
    one.action(0, "check-ovn")
    one.machines[0].sleep(10)
    one.machines[0].api.differences = ["one"]
    assert one.action(0, "check-ovn")["summary"] == "1 differences: one"


def test_a_dry_run_repairs_nothing(one):
    one.machines[0].api.differences = ["one"]
    assert one.action(0, "repair-ovn")["summary"] == "1 differences: one"
    assert "repair" not in one.done


def test_a_repair_stops_the_api_meanwhile(one):
    machine = one.machines[0]
    machine.api.differences = ["one"]
    machine.log.clear()
    said = one.action(0, "repair-ovn", dry_run=False)
    assert said["summary"] == "1 differences were put right: one"
    assert machine.api.differences == []
    one.update_status()
    assert one.statuses[0] == ops.ActiveStatus()
    assert machine.api.serves
    assert starts(one, API) == starts(one, MAINTENANCE) == [2]


def test_a_unit_that_was_paused_stays_so_after_a_repair(one):
    one.action(0, "pause")
    one.action(0, "repair-ovn", dry_run=False)
    one.update_status()
    assert "paused" in one.statuses[0].message
    assert not one.machines[0].api.serves


def test_a_repair_that_fails_does_not_leave_the_api_stopped(one):
    machine = one.machines[0]
    machine.api.refused = "RuntimeError: no such column"
    with pytest.raises(testing.ActionFailed, match="repair: RuntimeError: no such column"):
        one.action(0, "repair-ovn", dry_run=False)
    machine.api.refused = ""
    one.update_status()
    assert machine.api.serves


def test_nothing_is_repaired_while_another_unit_serves(three):
    words = three.refuse(1, "repair-ovn", dry_run=False)
    assert words.startswith("neutron/0, neutron/2 would change what is compared: juju run neutron/0 pause")
    for number in (0, 2):
        three.action(number, "pause")
    three.action(1, "repair-ovn", dry_run=False)
    assert "repair" in three.done


# Machines that are gone


def test_agents_are_listed(one):
    one.machines[0].api.agents = {"m1": True, "m2": False}
    said = one.action(0, "list-agents")
    assert said["summary"] == "1 of 2 agents are alive; not: OVN Controller agent on m2"
    assert {agent["host"] for agent in said["result"]} == {"m1", "m2"}


def test_what_is_left_of_a_machine_that_is_gone_is_removed(one):
    agents = one.machines[0].api.agents = {"m1": True, "m2": False}
    assert "would be removed of m2" in one.action(0, "forget-host", host="m2")["summary"]
    assert agents.keys() == {"m1", "m2"}
    assert "removed of m2" in one.action(0, "forget-host", host="m2", dry_run=False)["summary"]
    assert agents.keys() == {"m1"}


@pytest.mark.parametrize(
    ("host", "words"), [("m1", "its OVN Controller agent is alive"), ("m3", "there are: m1")]
)
def test_a_machine_that_is_there_or_never_was_is_not_forgotten(one, host, words):
    one.machines[0].api.agents = {"m1": True}
    assert words in one.refuse(0, "forget-host", host=host, dry_run=False)
    assert one.machines[0].api.agents == {"m1": True}
