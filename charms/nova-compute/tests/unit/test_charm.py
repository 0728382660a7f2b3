"""What is nova-compute's own; what every service without an API does is tested with the library."""

import configparser
import json

import ops
import pytest
from api_model import CEPH, CEPH_SECRET
from ops import testing

import hosts
from hosts import AMQP, HYPERVISOR, IDENTITY, NOVA

AGENT, RESUME = "nova-compute-agent.service", "nova-compute-resume.service"
CONFIG, KEYRING = "/etc/nova-compute/nova.conf", "/etc/nova-compute/ceph.keyring"
IDENTITY_FILE = "/var/lib/nova-compute/compute_id"
NEW = "bmV3IGtleQ=="


def configuration(machine):
    parser = configparser.RawConfigParser(strict=False, default_section="")
    parser.read_string(machine.read(CONFIG))
    return parser


def unit_of(machine, unit):
    return machine.read(f"/etc/systemd/system/{unit}")


def test_hosts_run_and_nova_knows_them(three):
    assert {status.name for status in three.statuses.values()} == {"active"}
    assert sorted(three.api) == ["machine-0", "machine-1", "machine-2"]
    told = three.local[NOVA, 1]
    assert (told["hostname"], told["ready"]) == ("machine-1", "true")


def test_a_hook_with_nothing_new_changes_nothing(three):
    three.update_status()
    before = three.snapshot()
    three.log()
    three.every()
    three.update_status()
    assert three.log() == []
    assert three.snapshot() == before


def test_the_zone_is_that_of_the_machine(one, monkeypatch):
    monkeypatch.setattr(one.context, "_availability_zone", "east", raising=False)
    monkeypatch.setenv("JUJU_AVAILABILITY_ZONE", "east")
    one.every()
    assert one.local[NOVA, 0]["availability-zone"] in {"east", "az1"}


def test_the_hosts_name_is_one_word_in_all_places(three):
    found = configuration(three.machines[2])
    assert found["DEFAULT"]["host"] == "machine-2"
    assert found["libvirt"]["live_migration_inbound_addr"] == "10.0.0.12"
    assert found["vnc"]["server_listen"] == found["vnc"]["server_proxyclient_address"] == "10.0.0.12"


def test_what_moves_between_hosts_is_encrypted_and_the_same_on_both(three):
    sections = [configuration(machine)["libvirt"] for machine in three.machines.values()]
    for one in sections:
        assert one["live_migration_scheme"] == "tls"
        assert one.getboolean("live_migration_with_native_tls")
        assert one["rbd_user"] == "nova-compute"
    assert len({one["rbd_secret_uuid"] for one in sections}) == 1


def test_emulated_guests_keep_little_of_what_was_translated(one):
    found = configuration(one.machines[0])["libvirt"]
    assert (found["virt_type"], found["cpu_mode"], found["cpu_models"]) == ("qemu", "custom", "Nehalem")
    assert found["tb_cache_size"] == "128"


def test_what_the_host_keeps_for_itself_is_what_the_hypervisor_says(one):
    found = configuration(one.machines[0])["DEFAULT"]
    assert (found["reserved_host_memory_mb"], found["reserved_host_disk_mb"]) == ("512", "2048")


def test_disks_are_in_the_applications_pool(one):
    found = configuration(one.machines[0])["libvirt"]
    assert (found["images_type"], found["images_rbd_pool"]) == ("rbd", "nova-compute")
    rights = one.asked_of_ceph()["ops"][-1]["permissions"]
    assert "profile rbd pool=cinder-volumes" in rights[3]
    assert "profile rbd-read-only pool=glance" in rights[3]
    one.configure(disks="local")
    found = configuration(one.machines[0])["libvirt"]
    assert "images_type" not in found
    assert found["rbd_secret_uuid"]  # volumes are in Ceph all the same


def test_the_service_asks_others_as_its_own_user(one):
    found = configuration(one.machines[0])
    for section in ("placement", "neutron", "cinder", "service_user"):
        assert found[section]["password"] == "user-password"
        assert found[section]["project_name"] == "services"
    assert found["service_user"]["send_service_user_token"] == "true"
    assert one.local[IDENTITY, "app"]["username"] == "nova-compute"


def test_it_speaks_in_novas_virtual_host(one):
    assert one.local[AMQP, "app"]["vhost"] == "nova"
    assert configuration(one.machines[0])["DEFAULT"]["transport_url"].endswith("/nova")


def test_credentials_are_in_files_that_others_cannot_read(one):
    machine = one.machines[0]
    for path in (CONFIG, KEYRING):
        assert machine.nodes[path].mode == 0o640
        assert machine.nodes[path].owner == ("root", "root")
    assert not any("password" in line or "ceph-key" in line for line in machine.argv)


def test_it_starts_after_what_it_needs_and_stops_before_guests(one):
    unit = unit_of(one.machines[0], AGENT)
    assert "libvirtd.service libvirt-guests.service openvswitch-switch.service\n" in unit
    assert (
        "\nExecStartPre=/opt/nova-compute/current/bin/python /usr/lib/openinfra/nova-compute/openinfra_host.py"
        in unit
    )
    assert "AF_NETLINK" in unit
    resume = unit_of(one.machines[0], RESUME)
    assert "\nAfter=network-online.target nova-compute-agent.service\n" in resume
    assert "\nRemainAfterExit=yes\n" in resume


@pytest.mark.parametrize(
    ("relation", "words"),
    [
        (HYPERVISOR, "no hypervisor: juju integrate nova-compute kvm-host"),
        (AMQP, "no messaging: juju integrate nova-compute rabbitmq"),
        (IDENTITY, "no identity: juju integrate nova-compute keystone"),
        (CEPH, "no storage: juju integrate nova-compute ceph"),
        (NOVA, "no control plane: juju integrate nova-compute nova"),
    ],
)
def test_what_is_not_related_is_named(relation, words):
    model = hosts.Model(0)
    del model.relations[relation]
    model.add_unit()
    assert model.statuses[0] == ops.BlockedStatus(words)


def test_only_the_machines_own_hypervisor_counts(monkeypatch):
    monkeypatch.setitem(hosts.HYPERVISOR_DATA, "virt-type", "xen")
    model = hosts.Model(1)
    assert model.statuses[0].name == "blocked"
    assert "kvm-host says virt-type='xen' in hypervisor" in model.statuses[0].message


@pytest.mark.parametrize(
    ("option", "value"), [("disks", "nfs"), ("emulation-cache", 8), ("pool-replicas", -1)]
)
def test_an_option_that_cannot_be_used_blocks(one, option, value):
    one.configure(**{option: value})
    assert one.statuses[0].message.startswith(f"config {option}=")


# The identity


def test_an_identity_that_the_machine_has_lost_comes_from_the_model(one):
    machine = one.machines[0]
    identity = machine.read(IDENTITY_FILE)
    one.update_status()
    machine.lose(IDENTITY_FILE)
    one.every()
    assert machine.read(IDENTITY_FILE) == identity
    machine.services[AGENT] = "inactive"
    one.every()
    assert machine.services[AGENT] == "active"


# Keys


def test_each_user_of_ceph_has_a_secret_of_its_own(three):
    before = {configuration(machine)["libvirt"]["rbd_secret_uuid"] for machine in three.machines.values()}
    three.give(CEPH_SECRET, key=NEW, username="nova-compute-2")
    three.every()
    for _ in range(3):
        three.update_status()
    after = {configuration(machine)["libvirt"]["rbd_secret_uuid"] for machine in three.machines.values()}
    assert len(before) == len(after) == 1
    assert before != after
    for machine in three.machines.values():
        assert configuration(machine)["libvirt"]["rbd_user"] == "nova-compute-2"
        assert NEW in machine.read(KEYRING)
        assert machine.starts[AGENT] == 2


def test_a_key_is_used_until_no_guest_on_any_host_needs_it(three):
    three.machines[1].api.have_server("web")
    three.every()
    three.give(CEPH_SECRET, key=NEW, username="nova-compute-2")
    three.every()
    for _ in range(3):
        three.update_status()
    (secret,) = [one for one in three.secrets if one.id == CEPH_SECRET.id]
    assert secret.tracked_content == CEPH_SECRET.tracked_content
    words = "guests on nova-compute/1 use an earlier key of Ceph, which ends when they have been stopped or rebooted hard"
    assert three.statuses[0] == ops.ActiveStatus(words)
    # It has moved, as it was.
    three.machines[2].libvirt.run_guest("web", three.machines[1].libvirt.guests["web"])
    three.machines[1].libvirt.end_guest("web")
    for _ in range(3):
        three.update_status()
    assert "nova-compute/2" in three.statuses[0].message
    three.machines[2].libvirt.end_guest("web")
    for _ in range(3):
        three.update_status()
    assert three.statuses[0] == ops.ActiveStatus()
    (secret,) = [one for one in three.secrets if one.id == CEPH_SECRET.id]
    assert secret.tracked_content["username"] == "nova-compute-2"


# Actions


def test_the_scheduler_passes_a_disabled_host_over(one):
    one.action(0, "disable", reason="disk")
    assert one.api["machine-0"]["status"] == "disabled"
    one.action(0, "enable")
    assert one.api["machine-0"]["status"] == "enabled"


def test_what_nova_does_not_do_is_told(one):
    one.machines[0].api.silent = "no route to host"
    words = one.refuse(0, "disable")
    assert words == "Nova does not do it: ConnectFailure: no route to host"
    assert one.refuse(0, "drain", dry_run=True).startswith("Nova does not answer:")


def run_jobs(model):
    for _ in range(3):
        model.update_status()


def test_a_drain_moves_what_runs(three):
    machine = three.machines[0]
    machine.api.have_server("web")
    machine.api.have_server("db")
    machine.api.have_server("old", "SHUTOFF")
    shown = three.action(0, "drain", dry_run=True)
    assert shown["summary"] == "2 servers would move; 1 do not run and would stay"
    assert three.api["machine-0"]["status"] == "enabled"
    three.action(0, "drain")
    run_jobs(three)
    assert three.api["machine-0"]["servers"] == {"old": "SHUTOFF"}
    assert three.api["machine-0"]["status"] == "disabled"
    assert set(three.api["machine-1"]["servers"]) == {"web", "db"}
    job = three.action(0, "show-job")["result"][-1]
    assert (job["state"], job["progress"]) == ("done", "2 servers were moved; 1 that do not run stay")


def test_a_drain_says_what_could_not_move_and_why(three):
    machine = three.machines[0]
    machine.api.have_server("web")
    machine.api.have_server("gpu")
    machine.api.immovable["gpu"] = "it has a device of the host"
    three.action(0, "drain")
    run_jobs(three)
    job = three.action(0, "show-job")["result"][-1]
    assert (job["state"], job["progress"]) == (
        "failed",
        "not moved: gpu (id-gpu): it has a device of the host",
    )
    assert set(three.api["machine-1"]["servers"]) == {"web"}


def test_a_host_that_is_prepared_for_removal_is_gone_from_nova(three):
    machine = three.machines[0]
    machine.api.have_server("web")
    machine.api.have_server("old", "SHUTOFF")
    three.action(0, "prepare-removal")
    run_jobs(three)
    assert "machine-0" not in three.api
    assert three.api["machine-1"]["servers"] == {"web": "ACTIVE", "old": "SHUTOFF"}
    assert machine.services[AGENT] == "inactive"
    assert three.statuses[0].message.startswith("taken out of Nova: remove the unit of kvm-host")
    machine.power_off()
    machine.power_on()
    run_jobs(three)
    assert machine.services.get(AGENT, "inactive") == "inactive"
    assert "machine-0" not in three.api
    three.remove_unit(0)
    assert machine.services.get(AGENT, "inactive") == "inactive"


def test_a_host_may_come_back(three):
    machine = three.machines[0]
    three.action(0, "prepare-removal")
    run_jobs(three)
    identity = three.unit_data[0].get("compute-id")
    three.action(0, "prepare-removal", cancel=True)
    run_jobs(three)
    assert machine.services[AGENT] == "active"
    assert three.api["machine-0"]["status"] == "enabled"
    assert json.loads(three.unit_data[0]["compute-id"]) == machine.read(IDENTITY_FILE)
    assert three.unit_data[0]["compute-id"] != identity
    assert three.statuses[0] == ops.ActiveStatus()


def test_what_keeps_a_host_is_told_and_the_host_stays_in_nova(three):
    machine = three.machines[0]
    machine.api.have_server("gpu")
    machine.api.immovable["gpu"] = "it has a device of the host"
    three.action(0, "prepare-removal")
    run_jobs(three)
    assert "machine-0" in three.api
    assert machine.services[AGENT] == "active"


# Guests outlast the charm


def test_guests_keep_a_unit_from_stopping(one):
    machine = one.machines[0]
    machine.api.have_server("web")
    machine.services["libvirtd.service"] = "inactive"
    with pytest.raises(testing.errors.UncaughtCharmError, match="1 guests run here"):
        one.run(0, one.on.stop())
    assert machine.services[AGENT] == "active"
    machine.libvirt.end_guest("web")
    one.run(0, one.on.stop())
    assert "machine-0" not in one.api
    one.run(0, one.on.remove(), formed=False)
    left = [p for p, node in machine.nodes.items() if node.content is not None and "nova-compute" in p]
    assert left == []


def test_a_unit_stops_though_nova_does_not_answer(one):
    one.machines[0].api.silent = "no route to host"
    one.run(0, one.on.stop())
    assert one.machines[0].services[AGENT] == "inactive"


def test_servers_that_never_came_back_are_named_until_they_are(one):
    machine = one.machines[0]
    lost = [{"id": "id-1", "name": "web", "instance": "instance-00000001"}]
    machine.have("/var/lib/nova-compute/resume.json", json.dumps(lost))
    one.every()
    assert one.statuses[0] == ops.ActiveStatus()
    machine.have("/etc/libvirt/qemu/instance-00000001.xml", "<domain/>")
    one.every()
    assert one.statuses[0].name == "blocked"
    assert "web (id-1)" in one.statuses[0].message
    machine.libvirt.run_guest("instance-00000001")
    one.every()
    assert one.statuses[0] == ops.ActiveStatus()


def test_power_loss_needs_no_hook(one):
    machine = one.machines[0]
    machine.power_off()
    machine.power_on()
    assert machine.services[AGENT] == "active"
