"""What is Glance's own; what every OpenStack API does is tested with `tests/probes/notes`."""

import configparser
import json

import ops
import pytest
from api_model import CEPH, CEPH_SECRET, DATABASE, GATEWAY, IDENTITY

import trust

API, FRONT = "glance-api.service", "glance-front.service"
CONFIG = "/etc/glance/glance-api.conf"
FIRST = ["sync", "load_metadefs", "tables of database"]


def configuration(machine, path=CONFIG):
    parser = configparser.RawConfigParser(strict=False, default_section="")
    parser.read_string(machine.read(path))
    return parser


def unit_of(machine, unit=API):
    return machine.read(f"/etc/systemd/system/{unit}")


def test_units_serve_with_a_schema_that_was_made_once(three):
    assert {status.name for status in three.statuses.values()} == {"active"}
    assert three.done == FIRST
    for unit in (API, FRONT):
        assert [machine.starts[unit] for machine in three.machines.values()] == [1, 1, 1], unit


def test_a_hook_with_nothing_new_changes_nothing(three):
    three.relate_gateway("10.0.0.100:9292")
    three.update_status()
    three.update_status()
    before = three.snapshot()
    three.log()
    three.every()
    three.every(three.on.update_status())
    assert three.log() == []
    assert three.snapshot() == before


# Storage


def test_each_unit_asks_for_the_pool_and_for_rights_to_nothing_else(three):
    requests = [three.asked_of_ceph(number) for number in range(3)]
    assert requests[0] == requests[1] == requests[2]
    pool, rights = requests[0]["ops"]
    assert (pool["op"], pool["name"]) == ("create-pool", "glance")
    assert rights["permissions"][3] == "profile rbd pool=glance"


def test_it_waits_for_its_pool_and_its_key(waiting):
    assert waiting.statuses[0] == ops.WaitingStatus("for ceph to make its pools and its key")
    assert API not in waiting.machines[0].starts
    assert waiting.answer_from_ceph()
    waiting.every()
    assert waiting.statuses[0] == ops.ActiveStatus()


def test_what_ceph_refuses_is_said_in_its_words(waiting):
    waiting.answer_from_ceph(**{"exit-code": 1, "stderr": "the pool glance is images's: see shared-pools"})
    waiting.every()
    assert waiting.statuses[0].name == "blocked"
    assert "ceph refuses: the pool glance is images's" in waiting.statuses[0].message


def test_without_ceph_it_says_what_to_do(one):
    one.unrelate(CEPH)
    assert one.statuses[0] == ops.BlockedStatus("no storage: juju integrate glance ceph")


def test_images_are_in_the_pool_and_their_place_is_known_to_who_clones_them(one):
    found = configuration(one.machines[0])
    assert found["DEFAULT"]["enabled_backends"] == "ceph:rbd"
    assert found["glance_store"]["default_backend"] == "ceph"
    assert (found["ceph"]["rbd_store_pool"], found["ceph"]["rbd_store_user"]) == ("glance", "glance")
    assert found["ceph"]["rbd_store_ceph_conf"] == "/etc/glance/ceph.conf"
    assert found["DEFAULT"].getboolean("show_image_direct_url")
    assert "ceph-key" in one.machines[0].read("/etc/glance/ceph.keyring")
    assert "ceph-key" not in one.machines[0].read(CONFIG)


def test_a_new_key_is_used_from_a_restart_on_one_unit_after_the_other(three):
    starts = [machine.starts[API] for machine in three.machines.values()]
    three.give(CEPH_SECRET, key="another")
    three.every()
    three.update_status()
    three.update_status()
    assert [machine.starts[API] for machine in three.machines.values()] == [count + 1 for count in starts]
    assert all("another" in machine.read("/etc/glance/ceph.keyring") for machine in three.machines.values())
    (secret,) = [one for one in three.secrets if one.id == CEPH_SECRET.id]
    assert secret.tracked_content == {"key": "another"}


def test_another_monitor_restarts_nothing(one):
    starts = dict(one.machines[0].starts)
    one.tell(CEPH, unit={"ceph-public-address": "10.0.2.9"})
    one.every()
    assert "mon_host = 10.0.2.9,10.0.2.2" in one.machines[0].read("/etc/glance/ceph.conf")
    assert one.machines[0].starts == starts


def test_the_operator_says_on_which_disks_the_pool_is(one):
    one.configure(pool_replicas=2, pool_device_class="hdd")
    (pool, _) = one.asked_of_ceph()["ops"]
    assert (pool["replicas"], pool["device-class"]) == (2, "hdd")
    assert one.statuses[0] == ops.ActiveStatus()


# Imports


def test_images_become_raw_when_they_are_imported(one):
    found = configuration(one.machines[0])
    assert found["image_import_opts"]["image_import_plugins"] == "[image_conversion]"
    assert found["image_conversion"]["output_format"] == "raw"
    assert found["wsgi"]["python_interpreter"] == "/opt/glance/current/bin/python"
    for section, folder in (("os_glance_staging_store", "staging"), ("os_glance_tasks_store", "tasks")):
        assert found[section]["filesystem_store_datadir"] == f"/var/lib/glance/{folder}"
    assert "qemu-utils" in one.machines[0].packages


def test_units_know_themselves_by_urls_of_their_own(three):
    """What was staged on one of them is imported by it, whichever is asked."""
    urls = [
        configuration(machine)["DEFAULT"]["worker_self_reference_url"] for machine in three.machines.values()
    ]
    assert urls == [f"https://10.0.0.{number}:19292" for number in (10, 11, 12)]


def test_units_trust_each_other_and_whom_the_system_trusts(one):
    machine = one.machines[0]
    bundle = machine.read("/etc/glance/trust.pem")
    assert machine.read("/etc/glance/tls/ca.pem") in bundle
    assert "CAs of the system\n" in bundle
    for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        assert f"\nEnvironment={variable}=/etc/glance/trust.pem\n" in unit_of(machine)
    machine.have(trust.SYSTEM, "others")
    one.update_status()
    assert machine.read("/etc/glance/trust.pem").endswith("others\n")


def test_nothing_is_downloaded_but_from_hosts_that_the_operator_names(one):
    machine = one.machines[0]
    assert configuration(machine)["DEFAULT"]["enabled_import_methods"] == "[glance-direct, copy-image]"
    one.configure(web_download_hosts="cloud.debian.org")
    found = configuration(machine)
    assert found["DEFAULT"]["enabled_import_methods"] == "[glance-direct, web-download, copy-image]"
    filters = found["import_filtering_opts"]
    assert filters["allowed_hosts"] == "[cloud.debian.org]"
    assert filters["allowed_ports"] == "[80, 443]"
    assert filters["allowed_schemes"] == "[http, https]"


def test_sizes_are_limited_as_the_operator_says(one):
    one.configure(image_size_cap="200G", project_quota="500G")
    found = configuration(one.machines[0])["DEFAULT"]
    assert (found["image_size_cap"], found["user_storage_quota"]) == (f"{200 << 30}", f"{500 << 30}")
    one.configure(project_quota="all")
    assert "project-quota" in one.statuses[0].message


# Transfers


def test_a_transfer_may_be_large_slow_and_in_chunks(one):
    unit = unit_of(one.machines[0])
    for words in (
        '--chunked-input-limit "67108864"', '--socket-timeout "3600"', '--chunked-input-timeout "3600"', '--threads "16"',
    ):  # fmt: skip
        assert f" {words}" in unit
    front = one.machines[0].read("/etc/glance/front.cfg")
    assert "timeout client 3600s" in front
    assert "timeout server 3600s" in front
    # A process of the front that a reload has replaced goes on with what moves.
    assert "hard-stop-after 86400s" in front
    # uWSGI ends each connection.
    assert "option http-server-close" in front


# The rest


def test_the_process_is_told_where_its_configuration_is(one):
    unit = unit_of(one.machines[0])
    for line in ("OS_GLANCE_CONFIG_DIR=/etc/glance", "OPENINFRA_WSGI=glance.wsgi.api:application"):
        assert f"\nEnvironment={line}\n" in unit
    assert configuration(one.machines[0])["paste_deploy"]["config_file"] == (
        "/opt/glance/current/etc/glance/glance-api-paste.ini"
    )


def test_clients_find_it_in_the_catalogue_at_the_gateway(three):
    three.relate_gateway("cloud.example:9292")
    three.tell(GATEWAY, app={"internal-endpoints": '["10.1.0.100:9292"]'})
    three.update_status()
    (endpoint,) = json.loads(three.local[IDENTITY, "app"]["service-endpoints"])
    assert (endpoint["service_name"], endpoint["type"]) == ("glance", "image")
    assert [endpoint[f"{kind}_url"] for kind in ("public", "internal", "admin")] == [
        "https://cloud.example:9292", "https://10.1.0.100:9292", "https://10.1.0.100:9292",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "lines", ["[ceph]\nrbd_store_pool = other", "[DEFAULT]\nshow_image_direct_url = false"]
)
def test_what_the_charm_sets_is_not_replaced(one, lines):
    one.configure(extra_config=lines)
    assert "it sets itself" in one.statuses[0].message


def test_an_upgrade_brings_data_before_and_definitions_after_the_units_have_switched(deploy):
    model = deploy(3, release="2025.2")
    assert model.done == FIRST
    model.action(0, "upgrade-release", release=2026.1, backup="monday")
    for _ in range(3):
        model.update_status()
    assert "2026.1 runs; to end the upgrade: finish-upgrade" in model.statuses[0].message
    assert model.done[len(FIRST) :] == ["expand", "migrate"]
    model.action(0, "finish-upgrade")
    model.update_status()
    assert model.done[len(FIRST) :] == ["expand", "migrate", "contract", "load_metadefs"]
    assert {status.name for status in model.statuses.values()} == {"active"}


def test_a_restored_database_is_brought_to_this_release(one):
    one.done.clear()
    one.tell(DATABASE, {"restored": "1"})
    one.every()
    assert one.done == FIRST


def test_two_applications_have_nothing_in_common(east):
    machine = east.machines[0]
    assert east.statuses[0] == ops.ActiveStatus()
    assert east.asked_of_ceph()["ops"][0]["name"] == "glance-east"
    assert (
        configuration(machine, "/etc/glance-east/glance-api.conf")["ceph"]["rbd_store_user"] == "glance-east"
    )
    ours = [path for path in machine.nodes if not path.startswith("/opt/openinfra/cache/")]
    assert not [path for path in ours if "/glance/" in path or path.endswith("/glance")]


def test_nothing_is_left_on_the_machine(one):
    machine = one.machines[0]
    one.run(0, one.on.stop())
    one.run(0, one.on.remove(), formed=False)
    left = [path for path, node in machine.nodes.items() if node.content is not None and "glance" in path]
    assert left == []
    assert "glance" not in machine.users
