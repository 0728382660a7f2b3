"""What is Nova's own; what every OpenStack API does is tested with `tests/probes/notes`."""

import configparser
import dataclasses
import json

import ops
import pytest
import twin
from api_model import BROKER, DATABASE, IDENTITY
from conftest import API_DATABASE, CELL0_DATABASE, CONSOLE, HOSTS, METADATA

UNITS = [
    f"nova-{name}.service"
    for name in ("api", "metadata", "conductor", "scheduler", "console", "front", "metadata-front")
]
CONFIG = "/etc/nova/nova.conf"
FOUNDED = ["api_db sync", "cells", "db sync", "db online_data_migrations"]
TABLES = [f"tables of {name}" for name in ("database", "api_database", "cell0_database")]


def configuration(machine, path=CONFIG):
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(machine.read(path))
    return parser


def unit_of(machine, unit):
    return machine.read(f"/etc/systemd/system/{unit}")


def test_units_serve_with_schemas_and_cells_that_were_made_once(three):
    assert {status.name for status in three.statuses.values()} == {"active"}
    assert three.done == [*FOUNDED, *TABLES]
    for unit in UNITS:
        assert [machine.starts[unit] for machine in three.machines.values()] == [1, 1, 1], unit


def test_a_hook_with_nothing_new_changes_nothing(three):
    three.relate_gateway("10.0.0.100:8774")
    three.relate_further("metadata", METADATA, "10.0.0.100:8775")
    three.relate_further("console", CONSOLE, "10.0.0.100:6080")
    three.relate_hosts(one={"hostname": "node-1", "ready": "true", "availability-zone": "east"})
    three.update_status()
    three.update_status()
    before = three.snapshot()
    three.log()
    three.every()
    three.every(three.on.update_status())
    assert three.log() == []
    assert three.snapshot() == before


def test_each_database_has_a_user_of_its_own_and_no_password_is_given_to_a_program(one):
    machine = one.machines[0]
    asked = {
        number: one.local[number, "app"]["database"] for number in (DATABASE, API_DATABASE, CELL0_DATABASE)
    }
    assert list(asked.values()) == ["nova", "nova_api", "nova_cell0"]
    found = configuration(machine)
    assert "@10.0.0.5:3306/service?" in found["database"]["connection"]
    assert "@10.0.0.5:3306/nova_api?" in found["api_database"]["connection"]
    assert found["cell0_database"]["connection"] == (
        "mysql+pymysql:///nova_cell0?read_default_file=/etc/nova/cell0.cnf&charset=utf8mb4"
    )
    cell0 = configuration(machine, "/etc/nova/cell0.cnf")["client"]
    assert (cell0["host"], cell0["port"]) == ("10.0.0.5", "3306")
    assert cell0["password"] == "db-password"
    assert machine.nodes["/etc/nova/cell0.cnf"].mode == 0o640
    assert not [line for line in machine.argv if "db-password" in line]


def test_it_asks_others_as_its_own_user_with_all_usual_roles(one):
    found = configuration(one.machines[0])
    for section in ("cinder", "glance", "keystone", "neutron", "placement", "service_user"):
        assert found[section]["username"] == "svc-2-1", section
    assert found["service_user"].getboolean("send_service_user_token")
    assert "roles-enough" not in one.local[IDENTITY, "app"]


def test_threads_are_for_what_is_made_for_them_in_both_releases(one):
    machine = one.machines[0]
    for name in ("api", "metadata", "scheduler"):
        assert "\nEnvironment=OS_NOVA_DISABLE_EVENTLET_PATCHING=true\n" in unit_of(
            machine, f"nova-{name}.service"
        )
    for name in ("conductor", "console"):
        assert "EVENTLET" not in unit_of(machine, f"nova-{name}.service")
    for unit in UNITS[:5]:
        assert "AF_NETLINK" in unit_of(machine, unit)


def test_both_apis_have_sockets_queues_and_fronts_of_their_own(one):
    machine = one.machines[0]
    for name, wsgi, port in (("api", "compute", 18774), ("metadata", "metadata", 18775)):
        unit = unit_of(machine, f"nova-{name}.service")
        assert f"\nEnvironment=OPENINFRA_WSGI=nova_application:{wsgi}\n" in unit
        assert f"PROCESSNAME=nova-{name}\n" in unit
        assert f"ListenStream=/run/nova/{name}.sock\n" in unit_of(machine, f"nova-{name}.socket")
        front = machine.read(f"/etc/nova/{'metadata-' if name == 'metadata' else ''}front.cfg")
        assert f"bind 10.0.0.10:{port} ssl" in front
        assert f"unix@/run/nova/{name}.sock" in front


def test_an_api_that_does_not_serve_is_in_the_status(one):
    machine = one.machines[0]
    machine.services["nova-metadata.service"] = "failed"
    one.machines[0].api.sockets["/run/nova/metadata.sock"] = None
    machine.api.can_run = lambda unit: unit != "nova-metadata.service"
    one.update_status()
    assert one.statuses[0].name == "waiting"
    assert "nova-metadata.service" in one.statuses[0].message


def test_a_process_that_ends_again_and_again_is_in_the_status(one):
    one.machines[0].restarting_often["nova-conductor.service"] = 57
    one.update_status()
    assert one.statuses[0].name == "waiting"
    assert "nova-conductor.service (57 times)" in one.statuses[0].message


def test_consoles_end_tls_themselves_and_outlast_the_process_that_listens(one):
    machine = one.machines[0]
    unit = unit_of(machine, "nova-console.service")
    assert "\nKillMode=process\n" in unit
    assert (
        "bin/python /usr/lib/openinfra/nova/openinfra_console.py --config-file=/etc/nova/nova.conf\n" in unit
    )
    found = configuration(machine)
    assert found["DEFAULT"].getboolean("ssl_only")
    assert found["vnc"]["novncproxy_host"] == "10.0.0.10"
    assert found["vnc"]["novncproxy_port"] == "16080"
    assert found["vnc"]["auth_schemes"] == "vencrypt"
    assert found["DEFAULT"]["cert"] == found["vnc"]["vencrypt_client_cert"]
    assert "chain" not in machine.read(CONFIG)


def test_the_gateway_is_asked_for_three_ports(three):
    three.relate_gateway("cloud.example:8774")
    three.relate_further("metadata", METADATA, "10.1.0.100:8775")
    three.relate_further("console", CONSOLE, "cloud.example:6080")
    three.update_status()
    metadata, console = (three.local[number, "app"] for number in (METADATA, CONSOLE))
    assert (metadata["port"], metadata["backend_port"]) == ("8775", "18775")
    assert json.loads(metadata["openinfra"])["internal"] is True
    assert (console["port"], console["backend_port"]) == ("6080", "16080")
    assert json.loads(console["openinfra"])["health"]["path"] == "/vnc_lite.html"
    assert json.loads(console["timeout"])["server"] == 86400
    assert "proxy_protocol" not in console
    for number in (METADATA, CONSOLE):
        assert [json.loads(three.local[number, unit]["address"]) for unit in range(3)] == [
            f"10.0.0.{10 + unit}" for unit in range(3)
        ]
    (endpoint,) = json.loads(three.local[IDENTITY, "app"]["service-endpoints"])
    assert endpoint["public_url"] == "https://cloud.example:8774/v2.1"
    assert three.statuses[0] == ops.ActiveStatus()


def test_without_routes_the_leader_says_who_reaches_what(three):
    message = three.statuses[0].message
    assert "clients reach only https://10.0.0.10:18774: juju integrate nova:gateway gateway" in message
    assert (
        "clients of console reach only https://10.0.0.10:16080: juju integrate nova:gateway-console gateway"
        in message
    )


# Hosts


def test_hosts_are_told_where_metadata_and_consoles_are(three):
    three.relate_hosts()
    three.relate_further("metadata", METADATA, "10.0.0.100:8775", internal=["10.1.0.100:8775"])
    three.relate_further("console", CONSOLE, "cloud.example:6080")
    three.update_status()
    told = three.local[HOSTS, "app"]
    assert told["metadata-url"] == "https://10.1.0.100:8775"
    assert told["console-url"] == "https://cloud.example:6080/vnc_lite.html"
    assert told["region"] == "RegionOne"
    (secret,) = [one for one in three.secrets if one.id == told["metadata-secret"]]
    assert HOSTS in secret.remote_grants
    for machine in three.machines.values():
        found = configuration(machine)["neutron"]
        assert found["metadata_proxy_shared_secret"] == secret.latest_content["secret"]
        assert found.getboolean("service_metadata_proxy")


def test_a_host_is_made_known_once_it_is_ready(three):
    three.relate_hosts(one={"hostname": "node-1"})
    assert "cell_v2 discover_hosts" not in three.done
    three.tell(HOSTS, unit={"hostname": "node-1", "ready": "true"})
    three.every()
    three.every()
    assert three.done.count("cell_v2 discover_hosts") == 1


def test_zones_are_jujus(one):
    one.relate_hosts(
        one={"hostname": "node-1", "ready": "true", "availability-zone": "east"},
        two={"hostname": "node-2", "ready": "true", "availability-zone": "west"},
        three={"hostname": "node-3", "ready": "true"},
    )
    one.update_status()
    assert [step for step in one.done if step.startswith("zones")] == [
        'zones {"node-1": "east", "node-2": "west"}'
    ]


def test_a_host_that_cannot_change_its_zone_is_in_the_status(one):
    one.machines[0].api.problems = ["zone west: add_host node-1: it has servers"]
    one.relate_hosts(one={"hostname": "node-1", "ready": "true", "availability-zone": "west"})
    one.update_status()
    assert one.statuses[0] == ops.BlockedStatus("zone west: add_host node-1: it has servers")
    one.machines[0].api.problems = []
    one.update_status()
    assert one.statuses[0] == ops.ActiveStatus()


def test_what_a_host_says_wrong_is_in_the_status_and_the_others_go_on(one):
    one.relate_hosts(one={"hostname": "no de", "ready": "true"})
    assert one.statuses[0].name == "blocked"
    assert "hostname='no de'" in one.statuses[0].message


def test_processes_learn_that_all_of_nova_compute_run_a_later_release(one):
    machine = one.machines[0]
    one.relate_hosts(one={"hostname": "node-1", "ready": "true", "release": "2025.2"})
    one.update_status()
    assert machine.starts["nova-conductor.service"] == 1
    one.tell(HOSTS, unit={"hostname": "node-1", "ready": "true", "release": "2026.1"})
    one.every()
    one.update_status()
    assert machine.starts["nova-conductor.service"] == 2
    assert machine.starts["nova-scheduler.service"] == 2


# Cells


def test_what_nova_knows_of_its_cell_follows_the_number_of_brokers(one):
    before = len(one.done)
    known = one.relations[BROKER]
    units = {**known.remote_units_data, 1: {**known.remote_units_data[0], "hostname": "10.0.0.7"}}
    one.relations[BROKER] = dataclasses.replace(known, remote_units_data=units)
    one.every()
    one.update_status()
    assert one.done[before:] == ["cells"]


def test_a_restored_database_is_brought_to_this_release(one):
    before = len(one.done)
    one.tell(DATABASE, {"restored": "1"})
    one.every()
    assert one.done[before:] == [*FOUNDED, *TABLES]


# Releases


def test_an_upgrade_looks_first_and_migrates_data_last(deploy):
    model = deploy(3, release="2025.2")
    before = len(model.done)
    model.action(0, "upgrade-release", release=2026.1, backup="monday")
    for _ in range(4):
        model.update_status()
    assert "2026.1 runs; to end the upgrade: finish-upgrade" in model.statuses[0].message
    assert model.done[before:] == ["preflight", "api_db sync", "db sync"]
    model.action(0, "finish-upgrade")
    model.update_status()
    assert model.done[-1] == "db online_data_migrations"


# Options


def test_quotas_are_options(one):
    one.configure(quota_instances=-1, quota_ram="64G", quota_cores=8)
    quota = configuration(one.machines[0])["quota"]
    assert (quota["instances"], quota["ram"], quota["cores"]) == ("-1", "65536", "8")
    one.configure(quota_ram="many")
    assert "quota-ram='many'" in one.statuses[0].message
    assert configuration(one.machines[0])["quota"]["ram"] == "65536"


def test_two_applications_have_nothing_in_common(east):
    machine = east.machines[0]
    assert east.statuses[0] == ops.ActiveStatus()
    assert east.local[API_DATABASE, "app"]["database"] == "nova_east_api"
    assert "/etc/nova-east/cell0.cnf" in machine.read("/etc/nova-east/nova.conf")
    own = [path for path in machine.nodes if not path.startswith("/opt/openinfra/cache/")]
    assert not [path for path in own if "/nova/" in path or path.endswith("/nova")]


def test_nothing_is_left_on_the_machine(one):
    machine = one.machines[0]
    one.run(0, one.on.stop())
    one.run(0, one.on.remove(), formed=False)
    left = [path for path, node in machine.nodes.items() if node.content is not None and "nova" in path]
    assert left == []
    assert "nova" not in machine.users
    assert "end what is left of nova-console.service" in machine.log


# Actions


def test_a_host_that_is_alive_or_may_run_its_servers_is_not_evacuated(one):
    api = one.machines[0].api
    api.alive = {"node-1"}
    assert "nova-compute is alive there" in one.refuse(0, "evacuate-host", host="node-1", fenced=True)
    assert "fenced=true" in one.refuse(0, "evacuate-host", host="node-2")
    assert not [step for step in one.done if step.startswith(("force-down", "evacuate"))]


def test_a_dry_run_evacuates_nothing(one):
    one.machines[0].api.servers = {"node-1": [dict(twin.SERVER)]}
    results = one.action(0, "evacuate-host", host="node-1", dry_run=True)
    assert results["summary"].startswith("1 servers on node-1 would be built anew")
    assert not [step for step in one.done if step.startswith(("force-down", "evacuate"))]


def test_a_dead_host_is_taken_for_dead_and_its_servers_are_built_anew(one):
    one.machines[0].api.servers = {"node-1": [dict(twin.SERVER)]}
    results = one.action(0, "evacuate-host", host="node-1", fenced=True)
    assert "show-job job-id=" in results["summary"]
    one.time.now += 60
    one.update_status()
    # A job that was interrupted begins again.
    assert {step for step in one.done if step.startswith("force-down")} == {
        'force-down {"reason": "evacuated by nova", "service": "id-of-node-1"}'
    }
    assert "evacuate 1 servers" in one.done


def test_what_was_deleted_is_archived_by_a_job(one):
    results = one.action(0, "archive-data", older_than_days=7, purge=True)
    assert "deleted for good" in results["summary"]
    one.time.now += 60
    one.update_status()
    assert "db archive_deleted_rows" in one.done
    assert any(" --purge" in line for line in one.machines[0].argv)


def test_samples_are_only_told_in_a_dry_run(one):
    results = one.action(0, "create-samples", dry_run=True)
    assert results["result"] == ["flavor small"]
    assert [step for step in one.done if step.startswith("samples")] == ["samples missing"]
    one.action(0, "create-samples")
    one.time.now += 60
    one.update_status()
    assert "samples make" in one.done


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"network_cidr": "10.0.0.1/24"}, "network-cidr=10.0.0.1/24"),
        ({"external_cidr": "10.0.0.0/24"}, "physical-network"),
        (
            {"physical_network": "p", "external_cidr": "10.0.0.0/24", "external_range": "10.0.1.1-10.0.1.9"},
            "10.0.1.1 is not in it",
        ),
        (
            {"physical_network": "p", "external_cidr": "10.0.0.0/24", "external_range": "10.0.0.1-10.0.0.9"},
            "without the gateway",
        ),
        ({"image": "/there/is/none"}, "image=/there/is/none"),
        ({"image": "debian"}, "image=debian"),
    ],
)
def test_samples_that_cannot_be_are_refused_by_name(one, parameters, words):
    assert words in one.refuse(0, "create-samples", **parameters)
    assert not [step for step in one.done if step.startswith("samples")]


def test_actions_that_are_the_leaders_are_refused_elsewhere(three):
    assert "nova/leader evacuate-host" in three.refuse(1, "evacuate-host", host="node-1")
    assert "nova/leader archive-data" in three.refuse(1, "archive-data")
