"""Devices get other names, break, and are replaced: an OSD's devices are known by their labels, an OSD by its uuid."""

import errno
import importlib.machinery
import importlib.util
import pwd
from pathlib import Path

import pytest
from ops import testing
from twin import LABEL

import disk
from osd import Osds

SCRIPT = Path(__file__).parents[2] / "src/files/osd-device"
ERRORS = pytest.mark.parametrize("error", [errno.EIO, errno.ENOMEDIUM])


def uuid_on(machine, path):
    """Return the uuid in the label on a device."""
    start = machine.disk(path).read(0, 60)
    return start[len(LABEL) :][:36].decode() if start.startswith(LABEL) else None


def reboot(machine):
    machine.power_off()
    machine.power_on()
    machine.sleep(3)


def osds(model, number):
    """Return what list-disks tells of a unit's OSDs, by number."""
    return {osd["number"]: osd for osd in model.action(number, "list-disks")["result"]["osds"]}


@pytest.fixture
def swapped(four):
    """The second of four machines with two OSDs, 1 on sdb and 4 on sdc, whose names a start has swapped."""
    assert four.add_osd(1, "sdc") == 4
    machine = four.machines[1]
    machine.renames_disks = True
    reboot(machine)
    assert [uuid_on(machine, f"/dev/{name}") for name in ("sdb", "sdc")] == [
        four.ceph.osds[4].uuid,
        four.ceph.osds[1].uuid,
    ]
    return four


def test_osds_come_up_on_their_devices_whatever_these_are_called_now(swapped):
    machine = swapped.machines[1]
    assert all(osd.up for osd in swapped.ceph.osds.values())
    assert machine.resolve("/var/lib/ceph/osd/ceph-1/block") == "/dev/sdc"
    swapped.update_status()
    told = osds(swapped, 1)
    assert {number: (osd["device"], osd["known-as"]) for number, osd in told.items()} == {
        1: ("/dev/sdc", ["/dev/sdc"]),
        4: ("/dev/sdb", ["/dev/sdb"]),
    }
    devices = {one["path"]: one["osd-id"] for one in swapped.action(1, "list-disks")["result"]["devices"]}
    assert devices == {"/dev/sdb": 4, "/dev/sdc": 1}
    swapped.log()
    swapped.update_status()
    assert swapped.log() == []


@pytest.mark.parametrize("other_runs", [True, False])
def test_the_disk_that_is_removed_is_erased_and_not_the_one_that_has_its_name(swapped, other_runs):
    machine = swapped.machines[1]
    if not other_runs:
        swapped.action(1, "osd-out", osd_ids="4")
        machine.services["ceph-osd@4.service"] = "failed"
        machine.sleep(0)
        machine.ceph.services_changed()
    other = swapped.ceph.osds[4].uuid
    swapped.action(1, "remove-disk", osd_ids="osd.1", zap=True)
    assert machine.run_jobs() == [0]
    assert uuid_on(machine, "/dev/sdb") == other
    assert machine.disk("/dev/sdc").read(0, 60) == bytes(60)
    assert swapped.ceph.overwritten == []


def test_what_a_power_loss_left_half_made_is_undone_on_its_own_device(four):
    machine = four.machines[1]
    machine.plug_in("sdc")
    machine.broken["ceph-osd"] = "killed"
    machine.handlers["wipefs"] = machine.handlers["blkdiscard"] = lambda *_: ""
    with pytest.raises(testing.ActionFailed):
        four.action(1, "add-disk", osd_devices="/dev/sdc")
    # As a power loss leaves it: on record, and with a label.
    half = "00000000-aaaa-4000-8000-000000000001"
    machine.broken.clear()
    machine.bring(machine.ceph)
    machine.write(
        f"/var/lib/openinfra/ceph/osds/{half}.json", f'{{"uuid": "{half}", "device": "/dev/sdc"}}\n'
    )
    machine.disk("/dev/sdc").write(0, LABEL + half.encode() + b"\nmain")
    machine.renames_disks = True
    machine.power_off()
    four.machines[1].services.clear()
    machine.power_on()
    machine.services["ceph-osd@1.service"] = "failed"
    machine.ceph.services_changed()
    four.update_status()
    assert uuid_on(machine, "/dev/sdc") == four.ceph.osds[1].uuid
    assert uuid_on(machine, "/dev/sdb") is None
    assert four.ceph.overwritten == []


def test_a_device_is_known_by_the_name_that_lasts(one):
    machine = one.machines[0]
    machine.plug_in("sdb", serial="ata-ONE")
    machine.plug_in("sdc", serial="ata-TWO")
    one.action(0, "add-disk", osd_devices="/dev/sdb,/dev/sdc")
    assert machine.nodes["/var/lib/ceph/osd/ceph-0/block"].link == "/dev/disk/by-id/ata-ONE"
    machine.renames_disks = True
    reboot(machine)
    assert all(osd.up for osd in one.ceph.osds.values())
    told = osds(one, 0)
    assert (told[0]["device"], told[0]["known-as"]) == ("/dev/sdc", ["/dev/disk/by-id/ata-ONE"])


def test_prepare_removal_erases_what_bears_the_osds_labels(swapped):
    machine = swapped.machines[1]
    swapped.machines[1].plug_in("sdd").write(0, LABEL + b"11111111-0000-4000-8000-000000000001\nmain")
    swapped.action(1, "prepare-removal")
    assert machine.run_jobs() == [0]
    assert [uuid_on(machine, f"/dev/{name}") is None for name in ("sdb", "sdc", "sdd")] == [True, True, False]


def test_a_label_goes_last_so_that_an_interrupted_erasing_goes_on(four):
    machine = four.machines[1]
    four.action(1, "remove-disk", osd_ids="1", zap=True)
    wiped = machine.handlers["wipefs"]
    machine.broken["wipefs"] = "Input/output error"
    assert machine.run_jobs() == [1]
    words = four.action(1, "show-job", job_id="remove-disk-1")["summary"]
    assert words == "remove-disk-1: failed: /dev/sdb: cannot be erased: wipefs: Input/output error"
    assert 1 not in four.ceph.osds
    assert machine.handlers["wipefs"] == wiped


def test_a_disk_that_was_taken_out_stays_out_under_its_new_name(swapped):
    swapped.action(1, "remove-disk", osd_ids="1", zap=True)
    assert swapped.machines[1].run_jobs() == [0]
    swapped.configure(osd_devices="/dev/sdc")
    assert sorted(swapped.ceph.osds) == [0, 2, 3, 4]


# Replacing


@pytest.fixture
def dead(four):
    """An OSD of four whose disk has died, and a new disk of the same name in its place."""
    machine = four.machines[1]
    machine.services["ceph-osd@1.service"] = "failed"
    machine.plug_in("sdb")
    machine.ceph.services_changed()
    return four


def test_a_dead_disk_is_replaced_by_one_that_gets_its_name(dead):
    machine = dead.machines[1]
    old = dead.ceph.osds[1].uuid
    dead.action(1, "replace-disk", osd_id="1", device="/dev/sdb")
    assert machine.run_jobs() == [0]
    assert dead.ceph.osds[1].up
    assert dead.ceph.osds[1].uuid not in {old, ""}
    assert uuid_on(machine, "/dev/sdb") == dead.ceph.osds[1].uuid
    assert osds(dead, 1)[1]["device"] == "/dev/sdb"
    machine.sleep(3)
    assert set(dead.ceph.states()) == {"active+clean"}


def test_a_replacement_is_done_only_when_its_osd_is_up(dead):
    machine = dead.machines[1]
    machine.start_seconds = 10_000
    dead.action(1, "replace-disk", osd_id="1", device="/dev/sdb")
    with machine.waiting(400):
        assert machine.run_jobs() == [1]
    words = dead.action(1, "show-job")["summary"]
    assert "osd.1 is made on /dev/sdb, but is not up after 300 s: see journalctl" in words


def test_a_replacement_for_which_there_is_no_place_any_more_gives_nothing_up(four):
    machine = four.machines[1]
    machine.plug_in("sdc")
    four.action(1, "replace-disk", osd_id="1", device="/dev/sdc")
    machine.disk("/dev/sdc").write(0x438, b"\x53\xef")
    assert machine.run_jobs() == [1]
    assert "/dev/sdc: not empty: has a signature (ext4)" in four.action(1, "show-job")["summary"]
    assert (four.ceph.osds[1].up, four.ceph.osds[1].destroyed) == (True, False)


def test_a_place_that_a_failed_replacement_left_is_given_to_the_next_disk(dead):
    machine = dead.machines[1]
    dead.action(1, "replace-disk", osd_id="1", device="/dev/sdb")
    machine.broken["ceph-osd"] = "2026-11-29T20:00:00.000+0000 7f00aabbccdd -1 (5) Input/output error\n" * 99
    assert machine.run_jobs() == [1]
    (words,) = {job["progress"] for job in dead.action(1, "show-job")["result"]}
    assert words == "/dev/sdb: Ceph cannot make an OSD of it: ceph-osd: (5) Input/output error"
    assert dead.ceph.osds[1].destroyed
    machine.broken.clear()
    machine.plug_in("sdd")
    dead.action(1, "replace-disk", osd_id="osd.1", device="/dev/sdd")
    assert machine.run_jobs() == [0]
    assert dead.ceph.osds[1].up


def test_a_place_that_is_kept_can_be_given_up(dead):
    machine = dead.machines[1]
    dead.action(1, "replace-disk", osd_id="1", device="/dev/sdb")
    machine.broken["ceph-osd"] = "broken"
    assert machine.run_jobs() == [1]
    machine.broken.clear()
    dead.action(1, "remove-disk", osd_ids="1")
    assert machine.run_jobs() == [0]
    assert sorted(dead.ceph.osds) == [0, 2, 3]


# Jobs that go on


def test_a_job_never_takes_another_osd_that_has_the_number_now(four):
    machine = four.machines[1]
    four.action(1, "remove-disk", osd_ids="1", zap=True)
    machine.services["ceph-job-remove-disk-1.service"] = "inactive"
    # Somebody takes it out by hand meanwhile, and its number is given again.
    machine.stop_services("ceph-osd@1.service")
    gone = four.ceph.osds.pop(1)
    for pool in four.ceph.pools:
        for holders in pool.groups:
            holders.discard(1)
    machine.remove("/var/lib/ceph/osd/ceph-1")
    machine.plug_in("sdc")
    osd = Osds(machine, _admin(machine), "ceph").create("/dev/sdc")
    assert osd.number == 1
    machine.start_services("ceph-osd@1.service")
    four.run(1, four.on.update_status())
    assert machine.run_jobs() == [0]
    assert four.ceph.osds[1].uuid == osd.uuid != gone.uuid
    assert uuid_on(machine, "/dev/sdc") == osd.uuid
    assert uuid_on(machine, "/dev/sdb") is None


def _admin(machine):
    from admin import Admin

    return Admin(machine)


def test_an_osd_that_was_never_up_is_taken_out(four):
    machine = four.machines[1]
    machine.plug_in("sdc")
    osd = Osds(machine, _admin(machine), "ceph").create("/dev/sdc")
    assert four.ceph.osds[osd.number].host == ""
    four.action(1, "remove-disk", osd_ids=str(osd.number), zap=True)
    assert machine.run_jobs() == [0]
    assert osd.number not in four.ceph.osds
    assert uuid_on(machine, "/dev/sdc") is None


def test_a_command_that_is_refused_ends_a_job_with_the_reason(four, monkeypatch):
    from twin import Refused

    def refuse(**_):
        raise Refused(errno.EPERM, "not today")

    four.action(1, "remove-disk", osd_ids="1")
    monkeypatch.setattr(four.ceph, "_do_osd_out", refuse)
    assert four.machines[1].run_jobs() == [1]
    assert "remove-disk-1: failed: ceph osd out: not today" in four.action(1, "show-job")["summary"]
    assert four.ceph.osds[1].up
    four.run(1, four.on.update_status())
    assert four.statuses[1].message == "remove-disk-1 failed: ceph osd out: not today"


def test_a_disk_that_does_not_come_up_is_not_called_an_osd_yet(one):
    machine = one.machines[0]
    machine.plug_in("sdb")
    machine.start_seconds = 50
    results = one.action(0, "add-disk", osd_devices="/dev/sdb")
    assert results["summary"] == ("/dev/sdb: osd.0 is made and starts; it is not up yet, see get-health")
    assert results["result"][0]["state"] == "starting"


def test_a_disk_whose_daemon_dies_fails_the_action(one, monkeypatch):
    machine = one.machines[0]
    machine.plug_in("sdb")
    monkeypatch.setattr(machine.ceph, "can_run", lambda unit: "osd@" not in unit)
    with pytest.raises(
        testing.ActionFailed, match=r"/dev/sdb: osd\.0 is made, but its daemon does not run; see"
    ):
        one.action(0, "add-disk", osd_devices="/dev/sdb")


# Disks that cannot be read


@ERRORS
def test_one_disk_that_cannot_be_read_is_told_and_the_others_are_listed(three, error):
    machine = three.machines[0]
    machine.plug_in("sdc")
    machine.plug_in("sdd").errno = error
    machine.services["ceph-osd@0.service"] = "failed"
    machine.ceph.services_changed()
    machine.disk("/dev/sdb").errno = errno.EIO
    results = three.action(0, "list-disks")
    why = "Input/output error" if error == errno.EIO else "No medium found"
    found = {one["path"]: one["not-usable-because"] for one in results["result"]["devices"]}
    assert found["/dev/sdc"] == []
    assert found["/dev/sdb"] == ["cannot be read: Input/output error"]
    assert error == errno.ENOMEDIUM or found["/dev/sdd"] == [f"cannot be read: {why}"]
    assert results["summary"].endswith("without a device that can be read: osd.0")
    assert osds(three, 0)[0]["device"] == ""
    assert why in three.refuse(0, "add-disk", osd_devices="/dev/sdd")
    assert why in three.refuse(0, "zap-disk", devices="/dev/sdd", confirm="/dev/sdd")
    assert "is osd.0: take it out first" in three.refuse(
        0, "zap-disk", devices="/dev/sdb", confirm="/dev/sdb"
    )


@ERRORS
def test_a_configured_disk_that_cannot_be_read_fails_no_hook(one, error):
    machine = one.machines[0]
    machine.plug_in("sdb").errno = error
    machine.plug_in("sdc")
    one.configure(osd_devices="/dev/sdb,/dev/sdc")
    assert one.statuses[0].name == "blocked"
    assert one.statuses[0].message.startswith("/dev/sdb: cannot be read: ")
    assert [osd.up for osd in one.ceph.osds.values()] == [True]


def test_an_osd_whose_disk_has_died_is_taken_out_though_nothing_can_be_erased(four):
    machine = four.machines[1]
    machine.services["ceph-osd@1.service"] = "failed"
    machine.ceph.services_changed()
    machine.disk("/dev/sdb").errno = errno.EIO
    four.action(1, "remove-disk", osd_ids="1", zap=True)
    assert machine.run_jobs() == [1]
    assert 1 not in four.ceph.osds
    words = four.action(1, "show-job")["summary"]
    assert "osd.1 is out, but no device that can be read bears its label" in words
    assert four.action(1, "list-disks")["result"]["osds"] == []


def test_what_a_daemon_prints_as_it_dies_is_told_in_a_sentence(one):
    machine = one.machines[0]
    broken = machine.plug_in("sdb")
    mkfs = machine.handlers["ceph-osd"]

    def fail(argv, stdin):
        broken.errno = errno.EIO
        return mkfs(argv, stdin)

    machine.handlers["ceph-osd"] = fail
    with pytest.raises(testing.ActionFailed) as failed:
        one.action(0, "add-disk", osd_devices="/dev/sdb")
    assert failed.value.message == (
        "/dev/sdb: Ceph cannot make an OSD of it: ceph-osd: bdev(/var/lib/ceph/osd/ceph-0/block) open open got: "
        "(5) Input/output error"
    )
    assert one.ceph.osds == {}
    assert machine.list_folder("/var/lib/openinfra/ceph/osds") == []


# Groups that do not serve


def test_no_disk_is_taken_away_while_groups_do_not_serve(four):
    four.machines[1].plug_in("sdc")
    for number in (0, 2, 3):
        four.machines[number].stop_services(f"ceph-osd@{number}.service")
    for name, params in (
        ("remove-disk", {"osd_ids": "1"}),
        ("replace-disk", {"osd_id": "1", "device": "/dev/sdc"}),
        ("prepare-removal", {}),
    ):
        words = four.refuse(1, name, **params)
        assert words.startswith("placement groups are inactive or stale: ")
        assert "of pool data" in words
        assert "force=.mgr,data" in words or "force=data" in words
    forced = four.action(1, "replace-disk", osd_id="1", device="/dev/sdc", force=".mgr data")
    assert forced["result"] == {"job-id": "replace-disk-1"}


# What systemd runs before an OSD starts


@pytest.fixture
def script(tmp_path, monkeypatch):
    """The script, with plain files for devices and a folder of its own for OSDs."""
    loader = importlib.machinery.SourceFileLoader("osd_device", str(SCRIPT))
    spec = importlib.util.spec_from_loader("osd_device", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    (tmp_path / "by-id").mkdir()
    (tmp_path / "osd").mkdir()
    monkeypatch.setattr(module, "BY_ID", tmp_path / "by-id")
    monkeypatch.setattr(module, "OSDS", tmp_path)
    monkeypatch.setattr(module, "devices", lambda: sorted((tmp_path / "dev").iterdir()))
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(module.pwd, "getpwnam", lambda _: nobody)
    (tmp_path / "dev").mkdir()
    return module


def test_links_are_pointed_at_what_bears_the_label(script, tmp_path):
    folder = tmp_path / "ceph-3"
    folder.mkdir()
    (folder / "fsid").write_text(f"{'a' * 36}\n")
    for name, words in (("x", b"main"), ("y", b"bluefs db"), ("z", b"bluefs wal")):
        (tmp_path / "dev" / name).write_bytes(LABEL + b"a" * 36 + b"\n" + words)
    (tmp_path / "dev/other").write_bytes(LABEL + b"b" * 36 + b"\nmain")
    (tmp_path / "by-id/disk-y").symlink_to(tmp_path / "dev/y")
    for name in ("block", "block.db", "block.wal"):
        (folder / name).symlink_to(tmp_path / "dev/other")
    script.main("3")
    found = [(folder / name).readlink() for name in ("block", "block.db", "block.wal")]
    assert found == [tmp_path / "dev/x", tmp_path / "by-id/disk-y", tmp_path / "dev/z"]
    owners = {name: (tmp_path / "dev" / name).owner() for name in ("x", "y", "z", "other")}
    assert owners == {"x": "nobody", "y": "nobody", "z": "nobody", "other": "root"}
    (tmp_path / "dev/x").unlink()
    with pytest.raises(SystemExit, match=r"no device that can be read carries the label of osd\.3"):
        script.main("3")


def test_only_what_bears_the_label_is_given_to_ceph(script, tmp_path):
    (tmp_path / "shadow").write_text("secret")
    (tmp_path / "block").symlink_to(tmp_path / "shadow")
    with pytest.raises(SystemExit, match="leads to no device of this OSD"):
        script.give(tmp_path / "block", b"a" * 36)
    assert (tmp_path / "shadow").owner() == "root"


def test_an_interrupted_erasing_is_found_again_by_its_label(four, monkeypatch):
    machine = four.machines[1]
    path = "/dev/sdb"
    label = disk.read_label(machine, path)
    assert label is not None
    machine.stop_services("ceph-osd@1.service")
    machine.broken["blkdiscard"] = "killed"
    with pytest.raises(disk.DiskError, match="cannot be erased: blkdiscard: killed"):
        disk.erase_labelled(machine, path, label)
    assert disk.read_label(machine, path) == label


# Devices that OSDs share


@pytest.fixture
def shared(one):
    """One machine with three disks whose OSDs share a faster one for their databases."""
    machine = one.machines[0]
    for name in ("sdb", "sdc", "sdd", "sde"):
        machine.plug_in(name)
    machine.plug_in("nvme0n1", 100 << 30)
    one.action(0, "add-disk", osd_devices="/dev/sdb /dev/sdc /dev/sdd", db_devices="/dev/nvme0n1")
    return one


def test_osds_share_a_faster_device(shared):
    machine = shared.machines[0]
    assert all(osd.up for osd in shared.ceph.osds.values())
    links = [machine.resolve(f"/var/lib/ceph/osd/ceph-{number}/block.db") for number in range(3)]
    assert links == ["/dev/nvme0n1p1", "/dev/nvme0n1p2", "/dev/nvme0n1p3"]
    sizes = {machine.size(link) >> 30 for link in links}
    assert sizes == {33}
    assert [uuid_on(machine, link) for link in links] == [shared.ceph.osds[n].uuid for n in range(3)]
    assert osds(shared, 0)[1]["db-device"] == "/dev/nvme0n1p2"
    shared.log()
    shared.update_status()
    assert shared.log() == []


def test_a_part_is_given_back_and_the_next_osd_gets_it(shared):
    machine = shared.machines[0]
    shared.action(0, "add-disk", osd_devices="file:20G file:20G file:20G")
    shared.action(0, "remove-disk", osd_ids="1", zap=True)
    assert machine.run_jobs() == [0]
    assert not machine.exists("/dev/nvme0n1p2")
    assert [uuid_on(machine, f"/dev/nvme0n1p{n}") for n in (1, 3)] == [
        shared.ceph.osds[n].uuid for n in (0, 2)
    ]
    shared.action(0, "add-disk", osd_devices="/dev/sde", db_devices="/dev/nvme0n1", db_size="33G")
    assert machine.size("/dev/nvme0n1p2") == 33 << 30
    assert shared.ceph.overwritten == []
    for number in (0, 1, 2):
        shared.action(0, "remove-disk", osd_ids=str(number))
        assert machine.run_jobs() == [0]
    assert disk.objections(machine, "/dev/nvme0n1") == []


def test_an_osd_with_its_database_elsewhere_is_not_replaced_without_it(shared):
    words = shared.refuse(0, "replace-disk", osd_id="1", device="/dev/sde")
    assert words == (
        "osd.1 has its database or log on /dev/nvme0n1p2: use remove-disk, then add-disk with db-devices"
    )


def test_a_device_that_osds_share_is_never_erased(shared):
    words = shared.refuse(0, "zap-disk", devices="/dev/nvme0n1", confirm="/dev/nvme0n1")
    assert words == "/dev/nvme0n1p1 is osd.0: take it out first with remove-disk"
    words = shared.refuse(
        0, "add-disk", osd_devices="/dev/sde", db_devices="/dev/nvme0n1", db_size="2G", wipe=True,
        confirm="/dev/sde,/dev/nvme0n1",
    )  # fmt: skip
    assert "/dev/nvme0n1p1 is osd.0" in words


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"db_devices": "/dev/nvme0n1", "db_size": "10G"}, "10240 MiB"),
        ({"db_devices": "/dev/nvme0n1", "db_size": "1M"}, "the least is 1024"),
        ({"db_devices": "/dev/nvme0n1", "db_size": "big"}, "db-size=big: expected a size"),
        ({"wal_devices": "/dev/sdb", "wal_size": "1G"}, "/dev/sdb: not empty"),
        ({"wal_devices": "/dev/sdz", "wal_size": "1G"}, "/dev/sdz: there is no such device"),
    ],
)
def test_a_device_that_cannot_be_shared_is_refused(shared, params, words):
    assert words in shared.refuse(0, "add-disk", osd_devices="/dev/sde", **params)


def test_where_partitions_do_not_appear_nothing_is_left_of_the_attempt(one):
    machine = one.machines[0]
    for name in ("sdb", "sdc", "nvme0n1"):
        machine.plug_in(name)
    machine.ceph.shows_parts = False
    with pytest.raises(testing.ActionFailed, match="its partitions do not appear in /dev of this machine"):
        one.action(0, "add-disk", osd_devices="/dev/sdb,/dev/sdc", db_devices="/dev/nvme0n1")
    assert one.ceph.osds == {}
    assert [disk.objections(machine, f"/dev/{name}") for name in ("sdb", "nvme0n1")] == [[], []]
    assert machine.list_folder("/var/lib/openinfra/ceph/osds") == []
