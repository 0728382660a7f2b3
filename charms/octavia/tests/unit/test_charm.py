"""What is Octavia's own; what every OpenStack API does is tested with `tests/probes/notes`."""

import configparser
import json

import ops
import pytest
from api_model import DATABASE, IDENTITY, NETWORKS
from ops import testing

API, FRONT = "octavia-api.service", "octavia-front.service"
AGENT, HOUSEKEEPING = "octavia-agent.service", "octavia-housekeeping.service"
CONFIG = "/etc/octavia/octavia.conf"


def configuration(machine, path=CONFIG):
    parser = configparser.RawConfigParser(strict=False, default_section="")
    parser.read_string(machine.read(path))
    return parser


def unit_of(machine, unit=API):
    return machine.read(f"/etc/systemd/system/{unit}")


def test_units_serve_with_a_schema_that_was_made_once(three):
    assert {status.name for status in three.statuses.values()} == {"active"}
    assert three.done == ["head", "tables of database"]
    for unit in (API, FRONT, AGENT, HOUSEKEEPING):
        assert [machine.starts[unit] for machine in three.machines.values()] == [1, 1, 1], unit


def test_a_hook_with_nothing_new_changes_nothing(three):
    three.relate_gateway("10.0.0.100:9876")
    three.update_status()
    three.update_status()
    before = three.snapshot()
    three.log()
    three.every()
    three.every(three.on.update_status())
    assert three.log() == []
    assert three.snapshot() == before


def test_without_ovn_it_says_what_to_do(one):
    one.unrelate(NETWORKS)
    assert "no networks: juju integrate octavia ovn-central" in one.statuses[0].message


def test_ovn_is_the_only_provider(one):
    config = configuration(one.machines[0])
    assert config["api_settings"]["enabled_provider_drivers"].startswith("ovn:")
    assert config["api_settings"]["default_provider_driver"] == "ovn"
    assert config["driver_agent"]["enabled_provider_agents"] == "ovn"


def test_the_api_and_the_agent_meet_in_the_applications_own_folder(one):
    machine = one.machines[0]
    agent = configuration(machine)["driver_agent"]
    for name in ("status", "stats", "get"):
        assert agent[f"{name}_socket_path"] == f"/var/lib/octavia/{name}.sock"
    for unit in (API, AGENT):
        assert "\nEnvironment=OPENINFRA_AGENT=/var/lib/octavia\n" in unit_of(machine, unit)
        assert "\nReadWritePaths=/var/lib/octavia\n" in unit_of(machine, unit)


def test_ovns_databases_are_reached_as_the_unit(one):
    ovn = configuration(one.machines[0])["ovn"]
    assert ovn["ovn_nb_connection"] == "ssl:10.0.0.7:6641"
    assert ovn["ovn_nb_private_key"] == "/etc/octavia/tls/key.pem"


def test_neutron_is_asked_inside_as_its_own_user(one):
    config = configuration(one.machines[0])
    for section in ("neutron", "service_auth"):
        assert config[section]["password"] == "token-password"
        assert config[section]["valid_interfaces"] == "internal"
    assert "roles-enough" not in one.local[IDENTITY, "app"]


def test_clients_find_it_in_the_catalogue(one):
    one.relate_gateway("cloud.example:9876")
    one.update_status()
    (endpoint,) = json.loads(one.local[IDENTITY, "app"]["service-endpoints"])
    assert (endpoint["service_name"], endpoint["type"]) == ("octavia", "load-balancer")
    assert endpoint["public_url"] == "https://cloud.example:9876"


def test_what_ovn_lacks_is_written_again(one):
    assert one.action(0, "sync-ovn")["summary"] == "OVN's database has all load balancers"
    assert one.done[-1] == "octavia_sync.py"
    assert one.machines[0].api.serves


def test_a_sync_that_takes_longer_is_a_job(one):
    one.machines[0].running.slow = True
    assert "goes on: juju run octavia/0 show-job job-id=sync-ovn-2" in one.action(0, "sync-ovn")["summary"]


def test_a_sync_that_fails_says_why(one):
    one.machines[0].api.refused = "RuntimeError: no agent"
    with pytest.raises(testing.ActionFailed, match="RuntimeError: no agent"):
        one.action(0, "sync-ovn")


def test_a_unit_that_does_not_serve_writes_nothing(one):
    one.action(0, "pause")
    assert "does not serve here" in one.refuse(0, "sync-ovn")


def test_a_release_is_taken_back_and_again(deploy):
    model = deploy(3, release="2025.2")
    before = len(model.done)
    model.action(0, "upgrade-release", release=2026.1, backup="monday")
    for _ in range(3):
        model.update_status()
    assert "2026.1 runs; to end the upgrade: finish-upgrade" in model.statuses[0].message
    assert model.done[before:] == ["head"]
    model.action(0, "rollback-release")
    for _ in range(3):
        model.update_status()
    assert {machine.api.serves for machine in model.machines.values()} == {True}
    assert {status.name for status in model.statuses.values()} == {"active"}


def test_a_restored_database_is_brought_to_this_release(one):
    before = len(one.done)
    one.tell(DATABASE, {"restored": "1"})
    one.every()
    assert one.done[before:] == ["head", "tables of database"]


def test_two_applications_have_an_agent_each(east):
    machine = east.machines[0]
    assert east.statuses[0] == ops.ActiveStatus()
    config = configuration(machine, "/etc/octavia-east/octavia.conf")
    assert config["driver_agent"]["get_socket_path"] == "/var/lib/octavia-east/get.sock"
    assert "OPENINFRA_AGENT=/var/lib/octavia-east\n" in unit_of(machine, "octavia-east-agent.service")


def test_nothing_is_left_on_the_machine(one):
    machine = one.machines[0]
    one.run(0, one.on.stop())
    one.run(0, one.on.remove(), formed=False)
    left = [path for path, node in machine.nodes.items() if node.content is not None and "octavia" in path]
    assert left == []
    assert "octavia" not in machine.users
