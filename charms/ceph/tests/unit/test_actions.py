"""Every action: what it does, and each refusal, which has changed nothing."""

import json

import ops
import pytest
from ops import testing
from twin import LABEL

from openinfra_charm.testing import Fuse, Killed, OutOfPatienceError

GIB = 1 << 30


# add-disk


def test_add_disk_makes_an_osd_that_serves(three):
    three.machines[1].plug_in("sdc")
    results = three.action(1, "add-disk", osd_devices="/dev/sdc")
    assert results["summary"] == "/dev/sdc: is osd.3 now"
    assert results["result"] == [
        {"device": "/dev/sdc", "message": "/dev/sdc: is osd.3 now", "osd-id": 3, "state": "added"}
    ]
    osd = three.ceph.osds[3]
    assert (osd.up, osd.host) == (True, "machine-1")
    assert {"ceph-osd@3.service"} <= three.machines[1].enabled


def test_add_disk_twice_is_harmless(three):
    three.log()
    results = three.action(0, "add-disk", osd_devices="/dev/sdb")
    assert results["result"][0]["state"] == "present"
    assert results["summary"] == "/dev/sdb: is osd.0 already"
    assert three.log() == []
    assert len(three.ceph.osds) == 3


def test_add_disk_takes_several_with_databases_and_files(one):
    machine = one.machines[0]
    for name in ("sdb", "sdc", "nvme0n1", "nvme1n1"):
        machine.plug_in(name)
    machine.link("/dev/disk/by-id/second", "../../sdc")
    one.action(
        0, "add-disk", osd_devices="/dev/sdb,/dev/disk/by-id/second", db_devices="/dev/nvme0n1,/dev/nvme1n1"
    )
    one.action(0, "add-disk", osd_devices="file:1G,file:2G")
    assert sorted(one.ceph.osds) == [0, 1, 2, 3]
    assert all(osd.up for osd in one.ceph.osds.values())
    assert machine.resolve("/var/lib/ceph/osd/ceph-1/block") == "/dev/sdc"
    assert machine.resolve("/var/lib/ceph/osd/ceph-1/block.db") == "/dev/nvme1n1"
    assert machine.size("/var/lib/ceph/osd/ceph-3/block") == 2 * GIB


def test_add_disk_that_fails_for_one_leaves_the_others_done(one):
    machine = one.machines[0]
    for name in ("sdb", "sdc", "sdd"):
        machine.plug_in(name)
    machine.disk("/dev/sdc").write(0x438, b"\x53\xef")
    with pytest.raises(testing.ActionFailed) as failed:
        one.action(0, "add-disk", osd_devices="/dev/sdb,/dev/sdc,/dev/sdd")
    assert "/dev/sdb: is osd.0 now" in failed.value.message
    assert "; /dev/sdc: not empty: has a signature (ext4); " in failed.value.message
    assert "/dev/sdd: is osd.1 now" in failed.value.message
    assert sorted(one.ceph.osds) == [0, 1]
    assert all(osd.up for osd in one.ceph.osds.values())


def test_add_disk_wipes_what_was_named_twice(one):
    device = one.machines[0].plug_in("sdb")
    device.write(10 * GIB, LABEL)
    one.action(0, "add-disk", osd_devices="/dev/sdb", wipe=True, confirm="/dev/sdb")
    assert one.ceph.osds[0].up
    assert device.read(10 * GIB, len(LABEL)) == bytes(len(LABEL))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"osd_devices": " , "}, "osd-devices is empty"),
        ({"osd_devices": "/dev/sdz"}, "/dev/sdz: there is no such device on machine-0"),
        ({"osd_devices": "/dev/sdb,/dev/sdb"}, "/dev/sdb is named twice"),
        ({"osd_devices": "/dev/mapper/x"}, "/dev/mapper/x: there is no such device"),
        ({"osd_devices": "/dev/sdc1"}, "/dev/sdc1: a partition"),
        ({"osd_devices": "/dev/mounted"}, "in use"),
        ({"osd_devices": "/dev/labelled"}, "has a BlueStore label at 1 GiB"),
        ({"osd_devices": "/dev/sdc", "db_devices": "/dev/a,/dev/b"}, "db-devices names 2 devices for 1"),
        ({"osd_devices": "/dev/sdc", "db_devices": "/dev/labelled"}, "/dev/labelled: not empty"),
        ({"osd_devices": "/dev/labelled", "wipe": True}, "say so with confirm=/dev/labelled"),
        ({"osd_devices": "/dev/labelled", "wipe": True, "confirm": "/dev/sdc"}, "say so with confirm"),
        ({"osd_devices": "/dev/mounted", "wipe": True, "confirm": "/dev/mounted"}, "in use"),
        ({"osd_devices": "/dev/sdc", "confirm": "/dev/sdc"}, "confirm is only for wipe=true"),
        ({"osd_devices": "file:10"}, "file:10: not a size"),
        ({"osd_devices": "file:512M"}, "file:512M: not a size of at least 1G"),
    ],
)
def test_add_disk_refuses(three, params, words):
    machine = three.machines[0]
    machine.plug_in("sdc")
    machine.plug_in("sdc1")
    machine.write("/sys/class/block/sdc1/partition", "1\n")
    machine.plug_in("mounted").holder = "mount"
    labelled = machine.plug_in("labelled")
    labelled.write(GIB, LABEL)
    assert words in three.refuse(0, "add-disk", **params)
    assert labelled.read(GIB, len(LABEL)) == LABEL


def test_add_disk_refuses_a_device_that_is_another_ones_database(one):
    for name in ("sdb", "sdc", "nvme0n1"):
        one.machines[0].plug_in(name)
    one.action(0, "add-disk", osd_devices="/dev/sdb", db_devices="/dev/nvme0n1")
    words = one.refuse(0, "add-disk", osd_devices="/dev/sdc", db_devices="/dev/nvme0n1")
    assert "/dev/nvme0n1: not empty" in words


def test_add_disk_before_there_is_a_cluster(deploy):
    model = deploy(0)
    model.leader = 7
    model.add_unit()
    words = model.refuse(0, "add-disk", osd_devices="/dev/sdb")
    assert words == "the cluster is not founded yet; wait until the unit is active"


@pytest.mark.parametrize("program", ["ceph", "ceph-osd"])
def test_add_disk_that_breaks_half_way_leaves_nothing(three, program):
    machine = three.machines[0]
    device = machine.plug_in("sdc")
    machine.broken[program] = "Illegal instruction"
    before = three.snapshot()
    with pytest.raises(testing.ActionFailed, match="Illegal instruction"):
        three.action(0, "add-disk", osd_devices="/dev/sdc")
    assert three.snapshot() == before
    assert machine.list_folder("/var/lib/ceph/osd") == ["ceph-0"]
    assert len(machine.list_folder("/var/lib/openinfra/ceph/osds")) == 1
    assert device.read(0, 60) == bytes(60)
    machine.broken.clear()
    assert three.action(0, "add-disk", osd_devices="/dev/sdc")["result"][0]["osd-id"] == 3


def test_add_disk_in_a_file_that_breaks_half_way_leaves_no_file(one):
    one.machines[0].broken["ceph-osd"] = "Illegal instruction"
    with pytest.raises(testing.ActionFailed, match="Illegal instruction"):
        one.action(0, "add-disk", osd_devices="file:1G")
    assert one.machines[0].list_folder("/var/lib/ceph/openinfra") == []
    assert one.ceph.osds == {}


# remove-disk, replace-disk, prepare-removal


def test_remove_disk_drains_and_erases(four):
    result = four.action(1, "remove-disk", osd_ids="osd.1", zap=True)["result"]
    assert result == {"job-id": "remove-disk-1"}
    assert four.machines[1].run_jobs() == [0]
    assert sorted(four.ceph.osds) == [0, 2, 3]
    assert "osd.1" not in four.ceph.auth
    assert set(four.ceph.states()) == {"active+clean"}
    assert four.ceph.lost == []
    assert four.machines[1].disk("/dev/sdb").read(0, 60) == bytes(60)
    assert four.machines[1].services["ceph-osd@1.service"] == "inactive"
    assert four.action(1, "show-job", job_id="remove-disk-1")["summary"].endswith(
        "OSDs 1 are out of the cluster"
    )
    # It can be added again.
    assert four.action(1, "add-disk", osd_devices="/dev/sdb")["result"][0]["state"] == "added"


def test_remove_disk_goes_on_where_a_power_loss_ended_it(four):
    four.ceph.recovers = False
    four.action(1, "remove-disk", osd_ids="1")
    with pytest.raises(Exception, match=r"^$"):
        four.machines[1].run_jobs()
    four.machines[1].power_off()
    four.machines[1].power_on()
    four.ceph.recovers = True
    assert 1 in four.ceph.osds
    four.machines[1].sleep(30)
    four.run(1, four.on.start())
    assert four.machines[1].run_jobs() == [0]
    assert sorted(four.ceph.osds) == [0, 2, 3]


def test_remove_disk_can_be_tried_dry(four):
    four.log()
    before = four.snapshot()
    results = four.action(0, "remove-disk", osd_ids="0", dry_run=True)
    assert results["summary"].startswith("possible; ")
    assert results["result"]["bytes-to-move"] == sum(
        pool.stored // len(pool.groups) for pool in four.ceph.pools for holders in pool.groups if 0 in holders
    )
    assert (four.log(), four.snapshot()) == ([], before)


@pytest.mark.parametrize(
    ("osd_ids", "words"),
    [
        ("", "osd-ids='': expected OSD numbers"),
        ("one", "osd-ids='one': expected OSD numbers, comma-separated, such as 0,4"),
        ("1", "osd.1 is not an OSD of ceph/0, which has [0]"),
        ("0,9", "osd.9 is not an OSD of ceph/0"),
        ("0", "keeps 3 copies on different hosts, and 2 would be left: add disks first"),
    ],
)
def test_remove_disk_refuses(full, osd_ids, words):
    assert words in full.refuse(0, "remove-disk", osd_ids=osd_ids)


def test_remove_disk_refuses_when_the_rest_would_be_full(four):
    four.ceph.pools[-1].stored = 60 * GIB
    assert "% full: add disks first" in four.refuse(0, "remove-disk", osd_ids="0")


def test_replace_disk_keeps_the_number_and_the_place(four):
    weight = four.ceph.osds[1].weight
    four.machines[1].plug_in("sdc")
    four.action(1, "replace-disk", osd_id="1", device="/dev/sdc")
    assert four.machines[1].run_jobs() == [0]
    four.machines[1].sleep(3)
    osd = four.ceph.osds[1]
    assert (osd.up, osd.host, osd.weight, osd.destroyed) == (True, "machine-1", weight, False)
    assert four.machines[1].resolve("/var/lib/ceph/osd/ceph-1/block") == "/dev/sdc"
    assert set(four.ceph.states()) == {"active+clean"}
    assert four.ceph.lost == []


def test_replace_disk_of_one_that_died(full):
    machine = full.machines[1]
    machine.services["ceph-osd@1.service"] = "failed"
    machine.plug_in("sdc")
    full.action(1, "replace-disk", osd_id="1", device="/dev/sdc")
    assert machine.run_jobs() == [0]
    machine.sleep(3)
    assert full.ceph.osds[1].up
    assert set(full.ceph.states()) == {"active+clean"}
    assert full.ceph.lost == []


@pytest.mark.parametrize("changes", range(0, 40, 3))
def test_replace_disk_goes_on_where_it_was_killed(four, changes):
    machine = four.machines[1]
    machine.plug_in("sdc")
    weight = four.ceph.osds[1].weight
    four.action(1, "replace-disk", osd_id="1", device="/dev/sdc")
    with pytest.raises(Killed), machine.fused(Fuse(changes)):
        machine.run_jobs()
    machine.services["ceph-job-replace-disk-1.service"] = "inactive"
    four.run(1, four.on.update_status())
    assert machine.run_jobs() == [0]
    osd = four.ceph.osds[1]
    assert (osd.up, osd.weight, osd.destroyed) == (True, weight, False)
    assert sorted(four.ceph.osds) == [0, 1, 2, 3]
    assert four.ceph.overwritten == []
    assert len(machine.list_folder("/var/lib/openinfra/ceph/osds")) == 2


@pytest.mark.parametrize("changes", range(0, 30, 3))
def test_remove_disk_goes_on_where_it_was_killed(four, changes):
    machine = four.machines[1]
    four.action(1, "remove-disk", osd_ids="1", zap=True)
    with pytest.raises(Killed), machine.fused(Fuse(changes)):
        machine.run_jobs()
    machine.services["ceph-job-remove-disk-1.service"] = "inactive"
    four.run(1, four.on.update_status())
    assert machine.run_jobs() == [0]
    assert sorted(four.ceph.osds) == [0, 2, 3]
    assert machine.disk("/dev/sdb").read(0, 60) == bytes(60)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"osd_id": "0", "device": "/dev/sdc"}, "osd.0 is not an OSD of ceph/1, which has [1]"),
        ({"osd_id": "1", "device": "/dev/sdz"}, "/dev/sdz: there is no such device"),
        ({"osd_id": "1", "device": "/dev/sdb"}, "/dev/sdb: not empty"),
    ],
)
def test_replace_disk_refuses(four, params, words):
    assert words in four.refuse(1, "replace-disk", **params)


def test_prepare_removal_can_be_tried_dry_and_is_refused_when_nobody_can_take_the_data(full):
    assert "2 would be left" in full.refuse(2, "prepare-removal")
    full.add_unit()
    full.add_osd(3)
    before = full.snapshot()
    assert full.action(2, "prepare-removal", dry_run=True)["summary"].startswith("possible; ")
    assert full.snapshot() == before


# list-disks, zap-disk


def test_list_disks_tells_which_could_be_added_and_why_others_not(three):
    three.machines[0].plug_in("sdc")
    three.machines[0].plug_in("sdd").write(GIB, LABEL)
    results = three.action(0, "list-disks")
    assert results["summary"] == "1 OSDs; 1 of 3 block devices are empty and could be added"
    devices = {device["path"]: device for device in results["result"]["devices"]}
    assert devices["/dev/sdb"]["osd-id"] == 0
    assert devices["/dev/sdc"]["not-usable-because"] == []
    assert devices["/dev/sdd"]["not-usable-because"] == ["has a BlueStore label at 1 GiB"]
    assert [osd["number"] for osd in results["result"]["osds"]] == [0]


def test_zap_disk_erases_what_was_named_twice(three):
    device = three.machines[0].plug_in("sdc")
    device.write(GIB, LABEL)
    results = three.action(0, "zap-disk", devices="/dev/sdc", confirm="/dev/sdc")
    assert results["summary"] == "erased and verified: /dev/sdc"
    assert device.read(GIB, len(LABEL)) == bytes(len(LABEL))


@pytest.mark.parametrize(
    ("devices", "confirm", "words"),
    [
        ("/dev/sdc", "/dev/sdd", "say so with confirm=/dev/sdc"),
        ("", "", "say so with confirm="),
        ("/dev/sdb", "/dev/sdb", "/dev/sdb is osd.0: take it out first with remove-disk"),
        ("/dev/sdc,/dev/sdb", "/dev/sdc,/dev/sdb", "/dev/sdb is osd.0"),
        ("/dev/sdc,/dev/sdz", "/dev/sdc,/dev/sdz", "/dev/sdz: there is no such device"),
        ("/dev/sdc,/dev/sdd", "/dev/sdc,/dev/sdd", "/dev/sdd is in use"),
    ],
)
def test_zap_disk_refuses(three, devices, confirm, words):
    device = three.machines[0].plug_in("sdc")
    device.write(GIB, LABEL)
    three.machines[0].plug_in("sdd").holder = "mount"
    assert words in three.refuse(0, "zap-disk", devices=devices, confirm=confirm)
    assert device.read(GIB, len(LABEL)) == LABEL


# osd-in, osd-out, flags


def test_osds_go_out_and_in(four):
    assert four.action(0, "osd-out", osd_ids="0, osd.3")["summary"] == "marked out: osd.0, osd.3"
    assert [osd.inside for _, osd in sorted(four.ceph.osds.items())] == [False, True, True, False]
    assert four.action(2, "osd-in", osd_ids="3")["summary"] == "marked in: osd.3"
    assert four.ceph.osds[3].inside


@pytest.mark.parametrize("name", ["osd-in", "osd-out"])
@pytest.mark.parametrize(
    ("osd_ids", "words"),
    [("0,7", "there is no osd.7 in the cluster; there are [0, 1, 2]"), ("x", "osd-ids='x'")],
)
def test_unknown_osds_go_nowhere(three, name, osd_ids, words):
    assert words in three.refuse(0, name, osd_ids=osd_ids)


def test_noout_is_set_and_unset(one):
    one.action(0, "set-noout")
    assert one.ceph.flags == {"noout"}
    one.action(0, "unset-noout")
    assert one.ceph.flags == set()


# What is shown


def test_health_and_quorum_are_shown(three):
    assert three.action(0, "get-health")["summary"] == "HEALTH_OK"
    three.ceph.checks["SLOW_OPS"] = "3 slow ops"
    result = three.action(1, "get-health")["result"]
    assert result["checks"]["SLOW_OPS"]["summary"]["message"] == "3 slow ops"
    results = three.action(2, "get-quorum-status")
    assert results["summary"] == "3 of 3 monitors are in quorum"
    assert results["result"]["leader"] == "machine-0"
    three.machines[2].power_off()
    assert three.action(0, "get-quorum-status")["summary"] == "2 of 3 monitors are in quorum"


def test_rules_are_shown_with_their_pools(full):
    (rule,) = full.action(0, "list-crush-rules")["result"]
    assert rule == {
        "id": 0,
        "name": "replicated_rule",
        "failure-domain": "host",
        "device-class": "",
        "pools": [".mgr", "data"],
    }


def test_jobs_are_shown(four):
    assert four.action(0, "show-job")["summary"] == "no jobs"
    four.action(0, "remove-disk", osd_ids="0")
    assert four.action(0, "show-job")["result"][0]["state"] == "running"
    words = four.refuse(0, "show-job", job_id="remove-disk-7")
    assert words == "job-id=remove-disk-7: there is no such job on ceph/0; there are: remove-disk-1"


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("get-health", {}),
        ("get-quorum-status", {}),
        ("list-pools", {}),
        ("list-crush-rules", {}),
        ("set-noout", {}),
        ("unset-noout", {}),
        ("create-pool", {"name": "x"}),
        ("delete-pool", {"name": "data", "confirm": "data"}),
        ("osd-out", {"osd_ids": "0"}),
        ("remove-disk", {"osd_ids": "0"}),
        ("prepare-removal", {}),
        ("set-failure-domain", {"domain": "host"}),
        ("rotate-key", {"entity": "client.admin"}),
        ("pause", {}),
    ],
)
def test_without_quorum_actions_fail_and_say_so(full, name, params):
    for number in (1, 2):
        full.machines[number].power_off()
    assert "no monitor answers" in full.refuse(0, name, **params)


# Pools


def test_pools_come_and_go(three):
    results = three.action(0, "create-pool", name="images", replicas=2, pg_num=4, app_name="rbd")
    assert results["summary"] == "pool images is made"
    assert "was there already" in three.action(1, "create-pool", name="images", replicas=3)["summary"]
    pools = {pool["name"]: pool for pool in three.action(2, "list-pools")["result"]}
    assert pools["images"] | {"min-size": 2} == {
        "name": "images", "size": 2, "min-size": 2, "pg-num": 4, "applications": ["rbd"], "stored-bytes": 0,
        "used-bytes": 0, "objects": 0,
    }  # fmt: skip
    before = three.snapshot()
    assert (
        "would delete"
        in three.action(0, "delete-pool", name="images", confirm="images", dry_run=True)["summary"]
    )
    assert three.snapshot() == before
    three.action(0, "delete-pool", name="images", confirm="images")
    assert [pool.name for pool in three.ceph.pools] == [".mgr"]
    assert ("mon", "mon_allow_pool_delete") not in three.ceph.config


def test_a_pool_on_one_class_of_devices_has_a_rule_of_its_own(three):
    three.action(0, "create-pool", name="fast", device_class="ssd")
    three.action(0, "create-pool", name="faster", device_class="ssd")
    assert [rule.name for rule in three.ceph.rules] == ["replicated_rule", "replicated-host-ssd"]
    assert [pool.rule for pool in three.ceph.pools] == [0, 1, 1]


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("create-pool", {"name": "x", "replicas": -1}, "replicas=-1, pg-num=0: expected 0 or more"),
        ("create-pool", {"name": "x", "pg_num": -1}, "pg-num=-1"),
        ("delete-pool", {"name": "data", "confirm": "dta"}, "say so with confirm=data"),
        ("delete-pool", {"name": "dta", "confirm": "dta"}, "there is no pool dta; there are .mgr, data"),
    ],
)
def test_pool_actions_refuse(full, name, params, words):
    assert words in full.refuse(0, name, **params)


# set-failure-domain


def test_the_failure_domain_is_set_after_a_dry_run(deploy):
    model = deploy(3)
    for number in range(3):
        model.add_osd(number, "sdb")
        model.add_osd(number, "sdc")
    model.fill()
    before = model.snapshot()
    dry = model.action(0, "set-failure-domain", domain="host")
    assert "would move; set dry-run=false to do it" in dry["summary"]
    assert 0 < dry["result"]["bytes-to-move"] < model.ceph.pools[-1].stored * 3
    assert model.snapshot() == before
    model.action(0, "set-failure-domain", domain="host", dry_run=False)
    assert {model.ceph.rules[pool.rule].kind for pool in model.ceph.pools} == {"host"}
    model.machines[0].sleep(3)
    for pool in model.ceph.pools:
        for holders in pool.groups:
            assert len({model.ceph.osds[number].host for number in holders}) == 3
    again = model.action(0, "set-failure-domain", domain="host")
    assert again["result"]["bytes-to-move"] == 0
    assert not model.machines[0].exists("/var/lib/ceph/openinfra/crush")


def test_a_new_failure_domain_keeps_device_classes_and_later_classes_have_it(deploy):
    model = deploy(3)
    for number in range(3):
        model.add_osd(number, "sdb")
        model.machines[number].plug_in("sdc")
        model.action(number, "add-disk", osd_devices="/dev/sdc", device_class="ssd")
        model.machines[number].sleep(3)
    fast = model.fill("fast", device_class="ssd")
    model.update_status()
    assert model.statuses[0].message == "copies may share a machine, see set-failure-domain"
    model.action(0, "set-failure-domain", domain="host", dry_run=False)
    model.action(0, "create-pool", name="slow", device_class="hdd")
    rules = {rule.number: (rule.kind, rule.device_class) for rule in model.ceph.rules}
    assert {pool.name: rules[pool.rule] for pool in model.ceph.pools} == {
        ".mgr": ("host", ""), "fast": ("host", "ssd"), "slow": ("host", "hdd"),
    }  # fmt: skip
    model.machines[0].sleep(3)
    assert all(model.ceph.osds[number].device_class == "ssd" for holders in fast.groups for number in holders)
    model.update_status()
    assert model.statuses[0] == ops.ActiveStatus("")


def test_a_class_with_too_few_members_is_refused(full):
    full.machines[0].plug_in("sdc")
    full.action(0, "add-disk", osd_devices="/dev/sdc", device_class="ssd")
    full.action(0, "create-pool", name="fast", device_class="ssd")
    with pytest.raises(testing.ActionFailed, match="there are 1 hosts with OSDs of class ssd"):
        full.action(0, "set-failure-domain", domain="host", dry_run=False)


def test_a_failure_domain_with_too_few_members_is_refused(full):
    with pytest.raises(testing.ActionFailed, match="keeps 3 copies, and there are 0 racks with OSDs"):
        full.action(0, "set-failure-domain", domain="rack", dry_run=False)
    assert {rule.kind for rule in full.ceph.rules} == {"host"}


# rotate-key, pause, resume


def test_the_administrators_key_is_rotated_under_way(full):
    old = full.ceph.auth["client.admin"].key
    full.action(0, "rotate-key", entity="client.admin")
    for _ in range(2):
        full.update_status()
    new = full.ceph.auth["client.admin"].key
    assert new != old
    for machine in full.machines.values():
        assert machine.ceph.keyring_key("/etc/ceph/ceph.client.admin.keyring") == new
    assert {status.name for status in full.statuses.values()} == {"active"}


@pytest.mark.parametrize(
    ("number", "entity", "words"),
    [
        (
            1,
            "client.admin",
            "only the leader can do this: juju run ceph/leader rotate-key entity=client.admin",
        ),
        (
            0,
            "client.nobody",
            "entity=client.nobody: unknown here; credentials were granted to client.admin",
        ),
    ],
)
def test_rotate_key_refuses(three, number, entity, words):
    assert words in three.refuse(number, "rotate-key", entity=entity)


def test_a_paused_unit_stays_paused_until_it_is_resumed(full):
    machine = full.machines[1]
    full.action(1, "pause")
    full.update_status()
    assert "active" not in machine.services.values()
    assert full.statuses[1].message == "paused; start it again: juju run ceph/1 resume"
    machine.power_off()
    machine.power_on()
    full.update_status()
    assert "active" not in machine.services.values()
    assert full.action(1, "resume")["summary"] == "started"
    machine.sleep(3)
    assert set(full.ceph.states()) == {"active+clean"}
    assert full.action(1, "resume")["summary"] == "not paused; nothing to do"


def test_pause_refuses_when_clients_would_have_to_wait(full):
    full.machines[1].power_off()
    words = full.refuse(0, "pause")
    assert words.startswith("data would be unavailable without this machine's OSDs")
    assert words.endswith("force=true stops the daemons nevertheless")
    full.action(0, "pause", force=True)
    assert "active" not in full.machines[0].services.values()


def test_results_are_text_for_people_and_json_for_programs(full):
    full.action(0, "list-pools")
    raw = full.context.action_results
    assert raw["summary"] == "2 pools"
    assert isinstance(json.loads(raw["result"]), list)


def test_a_removal_is_not_prepared_while_the_quorum_needs_the_monitor(deploy):
    model = deploy(3)
    model.machines[1].power_off()
    for dry_run in (True, False):
        why = model.refuse(2, "prepare-removal", dry_run=dry_run)
        assert "without the monitor of machine-2, 1 of 2 would be in quorum, which is too few" in why


def test_a_drain_is_taken_back_with_the_weights_as_they_were(four):
    weights = {3: 0.0123443603515625, 2: 1.5}
    for number, weight in weights.items():
        four.ceph.osds[number].weight = weight
    four.ceph.recovers = False
    four.action(3, "remove-disk", osd_ids="3")
    four.action(2, "prepare-removal")
    for number in (2, 3):
        with pytest.raises(OutOfPatienceError):
            four.machines[number].run_jobs()
    assert four.ceph.osds[3].weight == four.ceph.osds[2].weight == 0
    assert "osd.3 has its weight back" in four.action(3, "cancel-drain")["summary"]
    four.action(2, "cancel-drain")
    assert {number: four.ceph.osds[number].weight for number in weights} == weights
    four.ceph.recovers = True
    four.settle()
    assert sorted(four.ceph.osds) == [0, 1, 2, 3]
    assert {number: four.ceph.osds[number].weight for number in weights} == weights
    assert "leaving" not in four.unit_data[2]
    assert four.action(3, "cancel-drain")["summary"] == "nothing was being drained"
