"""What is Cinder's own; what every OpenStack API does is tested with `tests/probes/notes`."""

import configparser
import json

import ops
import pytest
from api_model import BROKER, CEPH, DATABASE, GATEWAY, IDENTITY
from play import S3

API, VOLUME, BACKUP = "cinder-api.service", "cinder-volume.service", "cinder-backup.service"
CONFIG = "/etc/cinder/cinder.conf"


def configuration(machine, path=CONFIG):
    parser = configparser.RawConfigParser(strict=False, default_section="")
    parser.read_string(machine.read(path))
    return parser


def unit_of(machine, unit=API):
    return machine.read(f"/etc/systemd/system/{unit}")


def settle(model):
    """Let time pass: for services to count as down, and for jobs."""
    for _ in range(4):
        for machine in model.machines.values():
            if machine.powered:
                machine.sleep(40)
        model.update_status()


def test_units_serve_with_a_schema_that_was_made_once(three):
    assert {status.name for status in three.statuses.values()} == {"active"}
    assert three.done == ["sync", "online_data_migrations", "tables of database"]
    for unit in (API, VOLUME, "cinder-scheduler.service"):
        assert [machine.starts[unit] for machine in three.machines.values()] == [1, 1, 1], unit


def test_a_hook_with_nothing_new_changes_nothing(three):
    three.relate_gateway("10.0.0.100:8776")
    three.relate_store()
    three.update_status()
    three.update_status()
    before = three.snapshot()
    three.log()
    three.every()
    three.every(three.on.update_status())
    assert three.log() == []
    assert three.snapshot() == before


def test_units_are_one_cluster_of_hosts_that_are_called_like_them(three):
    found = [configuration(machine)["DEFAULT"] for machine in three.machines.values()]
    assert [one["host"] for one in found] == ["cinder-0", "cinder-1", "cinder-2"]
    assert {one["cluster"] for one in found} == {"cinder"}
    assert [one["my_ip"] for one in found] == ["10.0.0.10", "10.0.0.11", "10.0.0.12"]


def test_locks_are_kept_by_the_server_of_the_database_over_tls(one):
    plain = configuration(one.machines[0])["coordination"]["backend_url"]
    assert plain == "mysql://relation-1-1:db-password@10.0.0.5:3306/service"
    one.tell(DATABASE, {"tls": "True", "tls-ca": one.authority.pem})
    one.every()
    url = configuration(one.machines[0])["coordination"]["backend_url"]
    assert url == f"{plain}?ssl_ca=/etc/cinder/database-ca.pem"


def test_volumes_are_in_its_pool_of_ceph(one):
    found = configuration(one.machines[0])["ceph"]
    assert (found["rbd_pool"], found["rbd_user"], found["rbd_ceph_conf"]) == (
        "cinder-volumes", "cinder", "/etc/cinder/ceph.conf",
    )  # fmt: skip
    # The charm's driver leaves it out, so that Nova takes what its host has.
    assert "rbd_secret_uuid" not in found
    asked = json.loads(one.local[CEPH, 0]["broker_req"])
    assert any("pool=glance" in json.dumps(operation) for operation in asked["ops"])
    assert "OPENINFRA_KEYRING=/etc/cinder/ceph.keyring" in unit_of(one.machines[0], VOLUME)


def test_it_asks_others_as_its_own_user(one):
    found = configuration(one.machines[0])
    assert found["service_user"].getboolean("send_service_user_token")
    assert found["nova"]["interface"] == "internal"
    assert {found[name]["password"] for name in ("nova", "glance", "service_user")} == {"token-password"}
    assert "roles-enough" not in one.local[IDENTITY, "app"]


def test_processes_have_queues_of_answers_of_their_own(one):
    names = {
        line
        for unit in (API, VOLUME, "cinder-scheduler.service")
        for line in unit_of(one.machines[0], unit).splitlines()
        if "PROCESSNAME" in line
    }
    assert len(names) == 3
    assert one.local[BROKER, "app"]["vhost"] == "cinder"


def test_there_are_backups_as_long_as_there_is_a_bucket(one):
    machine = one.machines[0]
    assert "no backups of volumes: juju integrate cinder ceph-rgw" in one.statuses[0].message
    assert not machine.serves(BACKUP)
    assert "backup_driver" not in configuration(machine)["DEFAULT"]
    one.relate_store()
    one.update_status()
    assert machine.serves(BACKUP)
    found = configuration(machine)["DEFAULT"]
    assert found["backup_driver"] == "cinder.backup.drivers.s3.S3BackupDriver"
    assert (found["backup_s3_store_bucket"], found["backup_s3_store_secret_key"]) == (
        "relation-7",
        "s3-secret",
    )
    assert machine.read(found["backup_s3_ca_cert_file"]).strip() == one.authority.pem.strip()
    assert one.statuses[0] == ops.ActiveStatus()
    one.unrelate(S3)
    one.update_status()
    assert not machine.serves(BACKUP)
    assert not machine.exists(f"/etc/systemd/system/{BACKUP}")
    assert not machine.exists("/etc/cinder/backup-ca.pem")


def test_a_bucket_without_a_ca_is_checked_with_the_systems(one):
    one.relate_store(**{"tls-ca-chain": "[]"})
    found = configuration(one.machines[0])["DEFAULT"]
    assert found["backup_s3_ca_cert_file"] == "/etc/ssl/certs/ca-certificates.crt"


def test_keys_of_the_store_are_in_no_file_that_others_read(one):
    one.relate_store()
    machine = one.machines[0]
    for path, node in machine.nodes.items():
        if node.content is not None and ("s3-secret" in str(node.content) or "ceph-key" in str(node.content)):
            assert not node.mode & 0o007, path


@pytest.mark.parametrize("lines", ["[DEFAULT]\nbackup_driver = cinder.backup.drivers.ceph.CephBackupDriver"])
def test_the_backup_driver_that_shifts_data_is_refused_by_name(one, lines):
    one.configure(extra_config=lines)
    assert one.statuses[0].name == "blocked"
    assert "LP2155612" in one.statuses[0].message
    assert "CephBackupDriver" not in one.machines[0].read(CONFIG)


def test_why_a_driver_cannot_be_set_up_is_in_the_status(one):
    one.machines[0].write("/var/lib/cinder/volume-problem", "RuntimeError: the Ceph driver\ncannot be set up")
    one.machines[0].write("/var/lib/cinder/backup-problem", "of a process that is not there")
    one.update_status()
    assert one.statuses[0] == ops.BlockedStatus(
        "cinder-volume cannot start: RuntimeError: the Ceph driver cannot be set up; see journalctl -u cinder-volume"
    )
    one.machines[0].remove("/var/lib/cinder/volume-problem")
    one.update_status()
    assert one.statuses[0].name == "active"


def test_clients_find_it_in_the_catalogue_at_the_gateway(three):
    three.relate_gateway("cloud.example:8776")
    three.tell(GATEWAY, app={"internal-endpoints": '["10.1.0.100:8776"]'})
    three.update_status()
    endpoints = json.loads(three.local[IDENTITY, "app"]["service-endpoints"])
    assert [one["type"] for one in endpoints] == ["block-storage", "volumev3"]
    assert {one["public_url"] for one in endpoints} == {"https://cloud.example:8776/v3/%(project_id)s"}
    assert {one["internal_url"] for one in endpoints} == {"https://10.1.0.100:8776/v3/%(project_id)s"}


def test_services_of_a_machine_that_is_lost_are_removed(three):
    three.relate_store()
    three.update_status()
    three.destroy_machine(2)
    settle(three)
    assert "clean " + json.dumps({"host": "cinder-2"}) in three.done
    assert [one for one in three.done if one.startswith("service remove")] == [
        "service remove cinder-backup cinder-2", "service remove cinder-scheduler cinder-2",
        "service remove cinder-volume cinder-2@ceph",
    ]  # fmt: skip
    assert "backup update_backup_host --currenthost cinder-2 --newhost cinder-0" in three.done
    assert three.shared["hosts"] == ["cinder/0", "cinder/1"]
    assert {status.name for status in three.statuses.values()} == {"active"}


def test_work_is_taken_over_before_services_are_forgotten(three):
    three.remove_unit(1)
    settle(three)
    order = [one.split()[0] for one in three.done if one.startswith(("clean", "service"))]
    assert order == ["clean", "service", "service"]


def test_services_that_still_run_are_left(three):
    three.give_up_unit(2)
    settle(three)
    assert not [one for one in three.done if one.startswith("service remove")]
    assert "the services of cinder/2 are being removed" in three.statuses[0].message
    assert "count as running still" in three.statuses[0].message


def test_services_are_listed_and_removed_by_hand(three):
    listed = three.action(1, "list-services")
    assert listed["summary"] == "6 services, all up"
    assert [row["host"] for row in listed["result"]][:2] == ["cinder-0", "cinder-0@ceph"]
    assert "juju run cinder/leader remove-services" in three.refuse(1, "remove-services")
    assert "cinder-1 is cinder/1, which is in the model" in three.refuse(
        0, "remove-services", host="cinder-1"
    )
    assert "no service of cinder-9 is on record" in three.refuse(0, "remove-services", host="cinder-9")
    assert three.action(0, "remove-services")["summary"] == "0 services are of no unit"
    three.give_up_unit(2)
    assert "services of cinder-2 still run" in three.refuse(0, "remove-services")
    three.machines[2].scrap()
    shown = three.action(0, "remove-services")
    assert {row["host"] for row in shown["result"]} == {"cinder-2", "cinder-2@ceph"}
    assert not [one for one in three.done if one.startswith("service remove")]
    three.action(0, "remove-services", dry_run=False)
    settle(three)
    assert len([one for one in three.done if one.startswith("service remove")]) == 2


def test_a_volume_type_is_made_with_its_limits(one):
    said = one.action(
        0, "create-volume-type", name="fast", multiattach=True, total_iops=500, total_bytes="100M"
    )
    assert "volume type fast is made" in said["summary"]
    (made,) = [
        json.loads(line.removeprefix("make-type ")) for line in one.done if line.startswith("make-type")
    ]
    assert made["limits"] == {"total_iops_sec": "500", "total_bytes_sec": str(100 << 20)}
    assert made["properties"] == {"volume_backend_name": "ceph", "multiattach": "<is> True"}
    assert "expected letters" in one.refuse(0, "create-volume-type", name="a;b")
    assert "expected a size" in one.refuse(0, "create-volume-type", name="b", total_bytes="fast")


def test_a_unit_that_does_not_serve_says_so_in_its_actions(one):
    one.machines[0].api.broken = "database: OperationalError"
    assert "does not serve: database: OperationalError" in one.refuse(0, "list-services")


def test_data_take_the_form_of_a_new_release_when_there_is_no_way_back(deploy):
    model = deploy(3, release="2025.2")
    model.done.clear()
    model.done.append("sync")
    model.action(0, "upgrade-release", release=2026.1, backup="monday")
    for _ in range(3):
        model.update_status()
    assert "2026.1 runs; to end the upgrade: finish-upgrade" in model.statuses[0].message
    assert model.done == ["sync", "sync"]
    model.action(0, "finish-upgrade")
    model.update_status()
    assert model.done == ["sync", "sync", "online_data_migrations"]


def test_two_applications_have_nothing_in_common(east):
    machine = east.machines[0]
    assert east.statuses[0].name == "active"
    found = configuration(machine, "/etc/cinder-east/cinder.conf")
    assert (found["DEFAULT"]["host"], found["DEFAULT"]["cluster"]) == ("cinder-east-0", "cinder-east")
    assert found["ceph"]["rbd_user"] == "cinder-east"
    assert found["ceph"]["rbd_pool"] == "cinder-east-volumes"
    # What all applications of a machine share is called like the package.
    own = [path for path in machine.nodes if not path.startswith("/opt/openinfra/cache/")]
    assert not [path for path in own if "/cinder/" in path or path.endswith("/cinder")]


def test_nothing_is_left_on_the_machine(one):
    one.relate_store()
    machine = one.machines[0]
    one.run(0, one.on.stop())
    one.run(0, one.on.remove(), formed=False)
    left = [path for path, node in machine.nodes.items() if node.content is not None and "cinder" in path]
    assert left == []
    assert "cinder" not in machine.users
