"""What is Placement's own; what every OpenStack API does is tested with `tests/probes/notes`."""

import configparser
import json

import ops
from api_model import DATABASE, GATEWAY, IDENTITY

API, FRONT = "placement-api.service", "placement-front.service"
CONFIG = "/etc/placement/placement.conf"


def configuration(machine, path=CONFIG):
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(machine.read(path))
    return parser


def unit_of(machine, unit=API):
    return machine.read(f"/etc/systemd/system/{unit}")


def test_units_serve_with_a_schema_that_was_made_once(three):
    assert {status.name for status in three.statuses.values()} == {"active"}
    assert three.done == ["sync", "online_data_migrations", "tables of placement_database"]
    for unit in (API, FRONT):
        assert [machine.starts[unit] for machine in three.machines.values()] == [1, 1, 1], unit


def test_a_hook_with_nothing_new_changes_nothing(three):
    three.relate_gateway("10.0.0.100:8778")
    three.update_status()
    three.update_status()
    before = three.snapshot()
    three.log()
    three.every()
    three.every(three.on.update_status())
    assert three.log() == []
    assert three.snapshot() == before


def test_the_configuration_is_in_placements_own_sections(one):
    found = configuration(one.machines[0])
    assert "database" not in found
    database = found["placement_database"]
    assert database["connection"].startswith(
        "mysql+pymysql://relation-1-1:db-password@10.0.0.5:3306/service?"
    )
    assert database["connection_parameters"] == "read_timeout=5&write_timeout=5"
    assert found["keystone_authtoken"]["password"] == "token-password"
    assert found["oslo_middleware"].getboolean("enable_proxy_headers_parsing")


def test_the_process_is_told_where_its_configuration_and_its_database_are(one):
    unit = unit_of(one.machines[0])
    for line in (
        "OS_PLACEMENT_CONFIG_DIR=/etc/placement",
        "OPENINFRA_CONFIG=/etc/placement/placement.conf",
        "OPENINFRA_DATABASES=placement_database",
        "OPENINFRA_WSGI=placement.wsgi.api:application",
    ):
        assert f"\nEnvironment={line}\n" in unit


def test_it_has_no_cache_and_needs_none(one):
    """Keystone's middleware keeps what it has checked in the process; nothing else of Placement's would use one."""
    assert "cache" not in configuration(one.machines[0])
    assert "openinfra_cache" not in unit_of(one.machines[0])
    assert one.statuses[0] == ops.ActiveStatus()


def test_programs_wait_for_changes_of_the_schema(one):
    machine = one.machines[0]
    seen = []
    machine.api.ran = lambda *_: seen.append(dict(machine.env))
    one.tell(DATABASE, {"restored": "1"})
    one.every()
    assert len(seen) == 2
    assert all(env["OS_PLACEMENT_DATABASE__CONNECTION_PARAMETERS"] == "" for env in seen)


def test_clients_find_it_in_the_catalogue_at_the_gateway(three):
    three.relate_gateway("cloud.example:8778")
    three.tell(GATEWAY, app={"internal-endpoints": '["10.1.0.100:8778"]'})
    three.update_status()
    asked = three.local[IDENTITY, "app"]
    (endpoint,) = json.loads(asked["service-endpoints"])
    assert (endpoint["service_name"], endpoint["type"]) == ("placement", "placement")
    assert [endpoint[f"{kind}_url"] for kind in ("public", "internal", "admin")] == [
        "https://cloud.example:8778",
        "https://10.1.0.100:8778",
        "https://10.1.0.100:8778",
    ]


def test_its_own_user_checks_tokens_and_nothing_else(one):
    assert one.local[IDENTITY, "app"]["roles-enough"] == '["service"]'
    assert "extra-roles" not in one.local[IDENTITY, "app"]


def test_an_operators_lines_are_taken_or_refused(one):
    one.configure(extra_config="[placement]\nmax_allocation_candidates = 100000")
    assert configuration(one.machines[0])["placement"]["max_allocation_candidates"] == "100000"
    one.configure(extra_config="[placement_database]\nconnection = sqlite://")
    assert "[placement_database] connection it sets itself" in one.statuses[0].message
    assert "sqlite" not in one.machines[0].read(CONFIG)


def test_data_take_the_form_of_a_new_release_when_there_is_no_way_back(deploy):
    model = deploy(3, release="2025.2")
    model.done.clear()
    model.action(0, "upgrade-release", release=2026.1, backup="monday")
    for _ in range(3):
        model.update_status()
    assert "2026.1 runs; to end the upgrade: finish-upgrade" in model.statuses[0].message
    assert model.done == ["sync"]
    (expanded,) = {
        line
        for machine in model.machines.values()
        for line in machine.argv
        if line.endswith(" sync") and "/2026.1-" in line
    }
    assert expanded.startswith("runuser -u placement -- /opt/placement/2026.1-")
    for machine in model.machines.values():
        assert any(
            line.endswith(
                f"openinfra_ask.py {CONFIG} /run/placement/api.sock /resource_providers?name=openinfra"
            )
            for line in machine.argv
        )
    model.action(0, "finish-upgrade")
    model.update_status()
    assert model.done == ["sync", "online_data_migrations"]
    assert {status.name for status in model.statuses.values()} == {"active"}


def test_a_restored_database_is_brought_to_this_release(one):
    one.done.clear()
    one.tell(DATABASE, {"restored": "1"})
    one.every()
    assert one.done == ["sync", "online_data_migrations", "tables of placement_database"]
    assert one.machines[0].api.emptied == 0


def test_two_applications_have_nothing_in_common(east):
    machine = east.machines[0]
    assert east.statuses[0] == ops.ActiveStatus()
    assert east.local[DATABASE, "app"]["database"] == "placement_east"
    assert configuration(machine, "/etc/placement-east/placement.conf")["placement_database"]
    assert "\nEnvironment=OS_PLACEMENT_CONFIG_DIR=/etc/placement-east\n" in unit_of(
        machine, "placement-east-api.service"
    )
    assert not [path for path in machine.nodes if "/placement/" in path or path.endswith("/placement")]


def test_nothing_is_left_on_the_machine(one):
    machine = one.machines[0]
    one.run(0, one.on.stop())
    one.run(0, one.on.remove(), formed=False)
    left = [path for path, node in machine.nodes.items() if node.content is not None and "placement" in path]
    assert left == []
    assert "placement" not in machine.users
