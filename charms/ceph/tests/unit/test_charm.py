"""The charm's hooks, on one machine and on three that share a cluster."""

import errno
import itertools

import ops
import pytest
import twin
from ops import testing
from twin import LABEL

import osd
from openinfra_charm.daemon import job, registry
from openinfra_charm.machine import use


def monitors(model):
    return sorted(model.ceph.monitors)


# The first deploy


def test_one_unit_founds_the_cluster_and_asks_for_disks(one):
    assert one.ceph.founders == ["machine-0"]
    assert one.ceph.quorum == ["machine-0"]
    assert one.ceph.has_manager
    assert one.statuses[0] == ops.ActiveStatus("no disks yet: juju run ceph/0 add-disk osd-devices=/dev/sdX")
    assert set(one.machines[0].packages) >= {"ceph-mon", "ceph-mgr", "ceph-osd", "python3-rados"}


def test_before_the_peer_relation_there_is_nothing_but_packages(deploy):
    model = deploy(0)
    model.machines[0] = machine = _machine(model)
    model.unit_data[0] = {}
    model.run(0, model.on.install(), formed=False)
    assert model.statuses[0] == ops.WaitingStatus("for the peer relation, which Juju makes")
    assert machine.services == {}


def _machine(model):
    from machines import CephMachine

    return CephMachine(model.ceph, 0)


def test_the_cluster_is_named_in_one_hook_and_founded_in_another(deploy):
    model = deploy(0)
    model.machines[0] = machine = _machine(model)
    model.unit_data[0] = {}
    model.run(0, model.on.leader_elected())
    assert model.statuses[0].message.startswith("for Juju to record the cluster's identity")
    assert set(model.shared) == {"fsid", "keys", "founder", "monitors"}
    assert machine.services == {}
    model.run(0, model.on.config_changed())
    assert model.ceph.founders == ["machine-0"]


def test_a_hook_that_died_after_naming_the_cluster_leaves_no_second_one(deploy):
    model = deploy(0)
    model.machines[0] = _machine(model)
    model.unit_data[0] = {}
    model.run(0, model.on.leader_elected())
    # Juju has recorded nothing of this hook.
    model.unit_data[0], model.app_data, model.secrets = {}, {}, frozenset()
    for _ in range(3):
        model.run(0, model.on.update_status())
    assert model.ceph.founders == ["machine-0"]
    assert model.statuses[0].name == "active"


def test_another_unit_waits_for_the_leader_and_for_the_first_monitor(deploy):
    model = deploy(0)
    model.leader = 7
    model.add_unit()
    assert model.statuses[0] == ops.WaitingStatus("for the leader to name the cluster")
    assert model.ceph.founders == []


def test_a_new_leader_founds_no_second_cluster(deploy):
    model = deploy(0)
    model.machines[0] = _machine(model)
    model.unit_data[0] = {}
    model.run(0, model.on.leader_elected())
    model.leader = 1
    model.add_unit()
    for _ in range(3):
        model.update_status()
    assert model.ceph.founders == ["machine-0"]
    assert model.shared["founder"] == "ceph/0"


def test_a_unit_that_shall_run_no_monitor_waits_for_the_first(deploy):
    model = deploy(0)
    model.machines[0] = _machine(model)
    model.unit_data[0] = {}
    model.run(0, model.on.leader_elected())
    model.machines[0].broken["ceph-mon"] = "Illegal instruction"
    model.leader = 1
    with pytest.raises(testing.errors.UncaughtCharmError, match="Illegal instruction"):
        model.add_unit()
    model._play(1, model.on.config_changed())
    assert model.statuses[1].name == "waiting"
    assert model.statuses[1].message == "for ceph/0 to found the cluster"


def test_three_units_run_three_monitors_that_came_one_by_one(deploy, monkeypatch):
    seen = []
    model = deploy(2)
    play = model._play

    def watch(*args, **kwargs):
        play(*args, **kwargs)
        seen.append(len(model.ceph.monitors))

    monkeypatch.setattr(model, "_play", watch)
    model.add_unit()
    assert monitors(model) == ["machine-0", "machine-1", "machine-2"]
    assert seen == sorted(seen)
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(seen))
    assert {status.name for status in model.statuses.values()} == {"active"}


def test_two_units_run_one_monitor(deploy):
    assert monitors(deploy(2)) == ["machine-0"]


def test_a_monitor_that_does_not_join_keeps_the_next_one_back(deploy):
    model = deploy(2)
    model.ceph.stuck = {"machine-1"}
    model.add_unit()
    model.update_status()
    assert monitors(model) == ["machine-0"]
    assert model.shared["monitors"] == ["ceph/0", "ceph/1", "ceph/2"]
    model.ceph.stuck = set()
    model.update_status()
    assert monitors(model) == ["machine-0", "machine-1", "machine-2"]


def test_fewer_monitors_are_wanted_and_more_again(three):
    three.configure(monitor_count=1)
    for _ in range(3):
        three.update_status()
    assert monitors(three) == ["machine-0"]
    assert three.ceph.quorum == ["machine-0"]
    assert three.machines[2].services["ceph-mon@machine-2.service"] == "inactive"
    three.configure(monitor_count=3)
    for _ in range(3):
        three.update_status()
    assert three.ceph.quorum == ["machine-0", "machine-1", "machine-2"]
    assert not three.ceph.eager


def test_a_second_look_changes_nothing(three):
    three.update_status()
    three.log()
    before = dict(three.app_data), {number: dict(data) for number, data in three.unit_data.items()}
    three.configure()
    three.update_status()
    assert three.log() == []
    assert (three.app_data, three.unit_data) == before


def test_no_service_starts_twice_in_a_deploy(three):
    for machine in three.machines.values():
        started = [unit for line in machine.log if line.startswith("start ") for unit in line.split()[1:]]
        assert sorted(set(started)) == sorted(started)
        assert not [line for line in machine.log if line.startswith("restart ")]


def test_no_key_is_in_relation_data(three):
    written = [
        *three.app_data.values(),
        *(value for data in three.unit_data.values() for value in data.values()),
    ]
    keys = {auth.key for auth in three.ceph.auth.values()}
    assert not [value for value in written if any(key in value for key in keys)]


def test_a_second_application_on_the_machine_is_refused(one):
    machine = one.machines[0]
    machine.write(f"{registry.OWNERS}/ceph", "store/0\n")
    one.update_status()
    assert one.statuses[0] == ops.BlockedStatus(
        "store/0 runs Ceph on this machine already: remove one of the two"
    )


# Status


def test_a_bad_option_blocks_and_changes_nothing(one):
    one.log()
    one.configure(monitor_count=2)
    assert one.statuses[0] == ops.BlockedStatus("config monitor-count=2 cannot be used: expected 1, 3 or 5")
    assert one.log() == []


def test_health_is_told(three):
    three.update_status()
    assert three.statuses[0] == ops.ActiveStatus("")
    three.ceph.checks["MON_CLOCK_SKEW"] = "clock skew detected on mon.machine-1"
    three.update_status()
    assert three.statuses[0] == ops.ActiveStatus("HEALTH_WARN: clock skew detected on mon.machine-1")


def test_copies_on_one_machine_are_told(one):
    for name in ("sdb", "sdc", "sdd"):
        one.add_osd(0, name)
    one.update_status()
    assert one.statuses[0] == ops.ActiveStatus("copies may share a machine, see set-failure-domain")


def test_a_dead_daemon_is_started_by_the_next_hook(three):
    three.machines[1].services["ceph-osd@1.service"] = "failed"
    three.update_status()
    assert three.machines[1].services["ceph-osd@1.service"] == "active"


def test_without_a_majority_every_unit_says_so(three):
    for number in (1, 2):
        three.machines[number].power_off()
    three.run(0, three.on.update_status())
    assert three.statuses[0].name in {"waiting", "blocked"}
    assert "monitor" in three.statuses[0].message


def test_all_machines_come_back_by_themselves(three):
    three.fill()
    for machine in three.machines.values():
        machine.power_off()
    assert three.ceph.quorum == []
    for machine in three.machines.values():
        machine.power_on()
        machine.sleep(3)
    assert three.ceph.quorum == ["machine-0", "machine-1", "machine-2"]
    assert set(three.ceph.states()) == {"active+clean"}
    three.log()
    three.update_status()
    assert three.log() == []
    assert three.ceph.lost == []


# Restarts, one unit at a time


def restarts(model):
    return [line for line in model.log() if ": restart " in line]


def test_an_option_that_needs_it_restarts_the_units_one_after_the_other(three, monkeypatch):
    down = []
    command = three.ceph.tick

    def watch():
        command()
        down.append(sum(not osd.up for osd in three.ceph.osds.values()))

    three.fill()
    three.log()
    monkeypatch.setattr(three.ceph, "tick", watch)
    three.configure(osd_benchmark=False)
    for _ in range(3):
        three.update_status()
    lines = restarts(three)
    assert sorted(lines) == sorted(
        f"machine-{n}: restart {unit}"
        for n in range(3)
        for unit in (f"ceph-mon@machine-{n}.service", f"ceph-osd@{n}.service")
    )
    assert max(down) <= 1
    assert three.shared.get("turn-holder") is None
    assert {status.name for status in three.statuses.values()} == {"active"}


def test_a_unit_waits_with_its_restart_while_another_is_down(three):
    three.fill()
    three.machines[2].power_off()
    three.log()
    three.config |= {"osd-benchmark": False}
    three.run(0, three.on.config_changed())
    assert restarts(three) == []
    assert three.statuses[0].message.startswith("to restart ceph-mon@machine-0")


def test_only_the_holder_of_the_lock_restarts(three):
    three.run(1, three.on.update_status())
    three.ceph.recovers = False
    three.config |= {"osd-benchmark": False}
    three.unit_data[2] |= {"turn-wanted": '"restart"', "turn-number": "1"}
    three.run(0, three.on.update_status())
    three.log()
    three.run(1, three.on.config_changed())
    assert not [line for line in restarts(three) if line.startswith("machine-1")]


def test_another_monitor_in_the_map_restarts_nothing(three):
    three.log()
    three.add_unit()
    three.configure(monitor_count=1)
    three.update_status()
    assert restarts(three) == []


# Storage


def test_storage_becomes_osds_when_it_is_attached(one):
    storage = testing.Storage("osd-devices")
    one.machines[0].plug_in("sdb")
    one.storages[0] = {storage}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ops.Storage, "location", property(lambda _: "/dev/sdb", lambda *_: None))
        one.run(0, one.on.storage_attached(storage))
        one.run(0, one.on.update_status())
    assert [osd.number for osd in one.ceph.osds.values()] == [0]


def test_a_configured_device_becomes_an_osd_where_it_is(deploy):
    model = deploy(3, failure_domain="host")
    model.machines[1].plug_in("sdb")
    model.configure(osd_devices="/dev/sdb")
    assert [(osd.number, osd.host) for osd in model.ceph.osds.values()] == [(0, "machine-1")]
    model.log()
    model.update_status()
    assert model.log() == []


def test_a_configured_device_that_no_unit_has_is_told_by_the_leader(three):
    three.machines[1].plug_in("sdc")
    three.configure(osd_devices="/dev/sdc /dev/sdz,  /dev/sdy")
    three.update_status()
    messages = [status.message for _, status in sorted(three.statuses.items())]
    assert messages == ["osd-devices: no unit has /dev/sdz, /dev/sdy", "", ""]
    assert len(three.ceph.osds) == 4
    three.log()
    three.update_status()
    assert three.log() == []
    three.machines[2].plug_in("sdz")
    three.configure(osd_devices="/dev/sdc /dev/sdz")
    three.update_status()
    assert three.statuses[0] == ops.ActiveStatus("")


def test_a_configured_device_that_is_not_empty_blocks_and_stays_as_it_is(one):
    device = one.machines[0].plug_in("sdb")
    device.write(0x438, b"\x53\xef")
    one.configure(osd_devices="/dev/sdb")
    assert one.statuses[0].name == "blocked"
    assert "/dev/sdb: not empty: has a signature (ext4)" in one.statuses[0].message
    assert device.read(0x438, 2) == b"\x53\xef"
    assert one.ceph.osds == {}


def test_a_removed_disk_does_not_come_back_by_the_configuration(three):
    three.configure(osd_devices="/dev/sdc")
    three.machines[0].plug_in("sdc")
    three.update_status()
    assert len(three.ceph.osds) == 4
    three.action(0, "remove-disk", osd_ids="3", zap=True)
    assert three.machines[0].run_jobs() == [0]
    three.update_status()
    assert sorted(three.ceph.osds) == [0, 1, 2]


def test_configured_files_become_osds_once(one):
    one.configure(osd_devices="file:3G,file:3G")
    assert len(one.ceph.osds) == 2
    one.log()
    one.update_status()
    assert one.log() == []


def test_a_file_that_was_taken_out_does_not_come_back_by_the_configuration(three):
    three.configure(osd_devices="file:3G")
    three.update_status()
    there = len(three.ceph.osds)
    (number,) = (
        osd["number"] for osd in three.action(0, "list-disks")["result"]["osds"] if "/osd-" in osd["device"]
    )
    three.action(0, "remove-disk", osd_ids=str(number), zap=True)
    assert three.machines[0].run_jobs() == [0]
    three.update_status()
    assert len(three.ceph.osds) == there - 1


# Removal


def test_a_unit_stops_for_good_when_its_data_are_elsewhere(three):
    three.fill()
    three.add_unit()
    three.add_osd(3)
    three.action(2, "prepare-removal")
    assert three.machines[2].run_jobs() == [0]
    for _ in range(3):
        three.update_status()
    three.remove_unit(2)
    three.update_status()
    assert monitors(three) == ["machine-0", "machine-1", "machine-3"]
    assert sorted(osd.host for osd in three.ceph.osds.values()) == ["machine-0", "machine-1", "machine-3"]
    assert set(three.ceph.states()) == {"active+clean"}
    assert three.ceph.lost == []
    assert "mgr.machine-2" not in three.ceph.auth
    machine = three.machines[2]
    assert set(machine.services.values()) == {"inactive"}
    assert not machine.exists("/var/lib/openinfra/ceph")
    assert not machine.packages


def test_a_unit_does_not_stop_while_data_would_be_lost(three):
    three.fill()
    before = dict(three.ceph.osds)
    with pytest.raises(
        testing.errors.UncaughtCharmError, match=r"UnsafeToRemoveError.*juju remove-unit --force ceph/2"
    ):
        three.run(2, three.on.stop())
    assert three.ceph.osds == before
    assert three.machines[2].services["ceph-osd@2.service"] == "active"
    assert three.ceph.lost == []


def test_a_lone_unit_without_data_stops(one):
    for name in ("sdb", "sdc", "sdd"):
        one.add_osd(0, name)
    one.run(0, one.on.stop())
    one.run(0, one.on.remove(), formed=False)
    machine = one.machines[0]
    assert "active" not in machine.services.values()
    assert not machine.list_folder("/var/lib/ceph/osd")
    assert registry.claim(machine, "ceph", "store/0") == "store/0"


def test_a_whole_application_without_data_stops(three):
    for number in (2, 1, 0):
        three.remove_unit(number)
    assert all("active" not in machine.services.values() for machine in three.machines.values())


def test_a_unit_that_never_had_a_cluster_is_removed(deploy):
    model = deploy(0)
    model.leader = 7
    model.add_unit()
    model.run(0, model.on.stop())
    model.run(0, model.on.remove(), formed=False)
    assert model.machines[0].packages == {}


def test_detaching_storage_waits_for_the_data(three):
    three.fill()
    storage = testing.Storage("osd-devices")
    three.storages[0] = {storage}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ops.Storage, "location", property(lambda _: "/dev/sdb", lambda *_: None))
        with pytest.raises(testing.errors.UncaughtCharmError, match="UnsafeToRemoveError"):
            three.run(0, three.on.storage_detaching(storage))
    assert 0 in three.ceph.osds


def test_the_survivors_clean_up_after_a_machine_that_died(three):
    three.fill()
    three.add_unit()
    three.add_osd(3)
    three.destroy_machine(0)
    for _ in range(4):
        three.update_status()
        for number in three.unit_data:
            three.machines[number].run_jobs()
    assert monitors(three) == ["machine-1", "machine-2", "machine-3"]
    assert sorted(osd.host for osd in three.ceph.osds.values()) == ["machine-1", "machine-2", "machine-3"]
    assert "mgr.machine-0" not in three.ceph.auth
    assert "machine-0" not in {node["name"] for node in three.ceph._do_osd_tree()["nodes"]}
    assert set(three.ceph.states()) == {"active+clean"}
    assert three.ceph.lost == []
    assert three.ceph.founders == ["machine-0"]
    assert set(three.shared["hosts"]) == {"ceph/1", "ceph/2", "ceph/3"}
    three.log()
    three.update_status()
    assert three.log() == []


def test_the_last_monitor_of_two_dead_machines_goes_on_alone(deploy):
    model = deploy(3)
    model.destroy_machine(1)
    model.destroy_machine(2)
    assert model.ceph.quorum == []
    for _ in range(4):
        model.machines[0].sleep(30)
        model.update_status()
        model.machines[0].run_jobs()
    assert model.ceph.quorum == monitors(model) == ["machine-0"]
    assert model.statuses[0].name == "active"


def test_no_osd_of_a_dead_machine_goes_before_its_data_are_elsewhere(three):
    three.fill()
    three.destroy_machine(2)
    three.update_status()
    assert 2 in three.ceph.osds
    assert three.ceph.lost == []


# The checks for the host charm


def test_the_checks_need_no_juju(three, capsys):
    import check

    three.fill()
    with use(three.machines[0]):
        assert check.main("safe-to-stop", "ceph") == 0
        assert check.main("after-start", "ceph") == 0
    three.machines[1].power_off()
    with use(three.machines[0]):
        assert check.main("safe-to-stop", "ceph") == 1
        assert "data would be unavailable" in capsys.readouterr().out
        assert check.main("after-start", "ceph") == 1
        assert "data is being repaired" in capsys.readouterr().out


def test_data_are_not_made_anew_while_a_machine_restarts(three, capsys):
    import check

    three.fill()
    with use(three.machines[1]):
        assert check.main("safe-to-stop", "ceph") == 0
        assert three.ceph.host_flags == {}
        assert check.main("before-stop", "ceph") == 0
    assert three.ceph.host_flags == {"machine-1": ["noout"]}
    three.machines[1].power_off()
    three.machines[1].power_on()
    with use(three.machines[1]):
        three.machines[1].sleep(3)
        assert check.main("after-start", "ceph") == 0
    assert three.ceph.host_flags == {}
    assert capsys.readouterr().out == ""


def test_a_half_made_osd_is_undone_by_the_next_hook(one, monkeypatch):
    machine = one.machines[0]
    device = machine.plug_in("sdb")
    # As if all ended with mkfs.
    monkeypatch.setattr(osd.Osds, "_undo", lambda *_args, **_kept: None)
    machine.broken["ceph-osd"] = "killed"
    with pytest.raises(testing.ActionFailed):
        one.action(0, "add-disk", osd_devices="/dev/sdb")
    monkeypatch.undo()
    machine.broken.clear()
    device.write(0, LABEL + one.ceph.osds[0].uuid.encode() + b"\nmain")
    one.update_status()
    assert one.ceph.osds == {}
    assert machine.list_folder("/var/lib/openinfra/ceph/osds") == []
    assert device.read(0, 60) == bytes(60)


# Quorum


def test_a_leader_that_has_not_met_all_keeps_their_monitors(three):
    three.fill()
    three.add_unit()
    three.unmet = {(3, 1), (3, 2)}
    three.leader = 3
    three.update_status()
    assert three.shared["monitors"] == ["ceph/0", "ceph/1", "ceph/2"]
    three.unmet = set()
    three.update_status()
    assert monitors(three) == ["machine-0", "machine-1", "machine-2"]
    assert three.ceph.careless == []


def test_one_that_has_not_met_those_before_it_waits_with_its_monitor(deploy):
    model = deploy(2)
    model.ceph.stuck = {"machine-1"}
    model.unmet = {(2, 1)}
    model.add_unit()
    assert model.shared["monitors"] == ["ceph/0", "ceph/1", "ceph/2"]
    assert monitors(model) == ["machine-0"]


def test_a_founder_that_died_before_it_has_founded_is_followed_by_another(deploy):
    model = deploy(0)
    model.machines[0] = _machine(model)
    model.unit_data[0] = {}
    model.run(0, model.on.leader_elected())
    first = model.shared["fsid"]
    model.held = {0}
    model.leader = 1
    model.add_unit()
    model.add_unit()
    assert model.statuses[1].message == "for ceph/0 to found the cluster"
    model.destroy_machine(0)
    model.add_unit()
    for _ in range(3):
        model.update_status()
    assert model.ceph.founders == ["machine-1"]
    assert model.shared["fsid"] == model.ceph.fsid != first
    assert monitors(model) == ["machine-1", "machine-2", "machine-3"]
    assert {model.statuses[number].name for number in model.unit_data} == {"active"}


def test_a_founder_that_died_alone_is_followed_by_another(deploy):
    model = deploy(2)
    first = model.shared["fsid"]
    model.destroy_machine(0)
    model.add_unit()
    for _ in range(3):
        model.update_status()
    assert model.ceph.founders == ["machine-1"]
    assert model.shared["fsid"] == model.ceph.fsid != first
    assert {model.statuses[number].name for number in model.unit_data} == {"active"}


def test_a_cluster_that_lost_its_founder_and_has_disks_is_not_founded_anew(deploy):
    model = deploy(2, osd_devices="file:3G")
    del model.app_data["founded"]
    model.held = {1}
    model.destroy_machine(0)
    model.held = set()
    model.run(1, model.on.update_status())
    assert model.statuses[1].name == "blocked"
    assert "ceph/0 is gone, and with it the only monitor" in model.statuses[1].message


def test_the_last_monitor_goes_on_alone_whoever_leads(deploy):
    model = deploy(4)
    model.leader = 3
    for number in (0, 1):
        model.machines[number].scrap()
    for number in (0, 1):
        model.destroy_machine(number)
    assert model.ceph.quorum == []
    model.settle()
    assert model.ceph.quorum == monitors(model) == ["machine-2", "machine-3"]
    assert set(model.shared["hosts"]) == {"ceph/2", "ceph/3"}


def test_a_unit_stays_while_the_quorum_needs_its_monitor(deploy):
    model = deploy(3)
    model.machines[1].power_off()
    model.unmet = {(2, 0), (2, 1)}
    with pytest.raises(
        testing.errors.UncaughtCharmError, match=r"UnsafeToRemoveError.*1 of 2 would be in quorum"
    ):
        model.run(2, model.on.stop())
    assert model.ceph.quorum == ["machine-0", "machine-2"]
    assert model.ceph.careless == []
    model.machines[1].power_on()
    model.remove_unit(2)
    assert monitors(model) == ["machine-0", "machine-1"]
    assert model.ceph.careless == []


def test_the_only_monitor_stays_while_others_have_disks(deploy):
    model = deploy(2)
    for name in ("sdb", "sdc", "sdd"):
        model.add_osd(1, name)
    with pytest.raises(
        testing.errors.UncaughtCharmError,
        match=r"ceph/0 has the only monitor, and OSDs 0, 1, 2 are on other machines",
    ):
        model.run(0, model.on.stop())
    model.action(0, "prepare-removal")
    model.settle()
    model.remove_unit(0)
    assert model.ceph.quorum == ["machine-1"]


def test_a_monitor_that_is_not_wanted_any_more_stays_while_the_quorum_needs_it(three):
    three.machines[1].power_off()
    three.config |= {"monitor-count": 1}
    three.held = {1}
    for _ in range(3):
        three.update_status()
    assert three.ceph.quorum == ["machine-0", "machine-2"]
    assert "to give the monitor up: without the monitor of machine-2" in three.statuses[2].message
    three.machines[1].power_on()
    three.held = set()
    for _ in range(4):
        three.update_status()
    assert three.ceph.quorum == ["machine-0"]
    assert three.ceph.careless == []


def test_a_paused_leader_leads_on(deploy):
    model = deploy(5)
    model.leader = 4
    model.action(4, "pause")
    model.destroy_machine(1)
    model.settle()
    assert monitors(model) == ["machine-0", "machine-2", "machine-3"]
    assert model.statuses[4].message.startswith("paused")


# Names that come back


def test_a_new_machine_with_the_name_of_one_that_died_keeps_what_it_has(four):
    four.destroy_machine(1)
    four.names[4] = "machine-1"
    four.add_unit()
    four.add_osd(4)
    four.settle()
    assert monitors(four) == ["machine-0", "machine-2", "machine-3"]
    here = {osd.host: number for number, osd in four.ceph.osds.items()}
    assert here.keys() == {"machine-0", "machine-1", "machine-2", "machine-3"}
    assert 1 not in four.ceph.osds or four.ceph.osds[1].up
    assert all(osd.up for osd in four.ceph.osds.values())
    assert four.ceph.lost == four.ceph.hasty == four.ceph.careless == []
    # And it dies too, under the same name.
    four.destroy_machine(4)
    four.settle()
    assert {osd.host for osd in four.ceph.osds.values()} == {"machine-0", "machine-2", "machine-3"}
    assert "machine-1" not in monitors(four)
    assert four.ceph.careless == []


def test_a_new_machine_with_the_name_of_one_that_is_not_removed_waits_with_its_monitor(three):
    three.machines[1].power_off()
    three.held = {1}
    three.names[3] = "machine-1"
    three.leader = 0
    three.configure(monitor_count=5)
    three.add_unit()
    three.names[4] = "machine-4"
    three.add_unit()
    for _ in range(3):
        three.update_status()
    assert three.shared["monitors"] == [f"ceph/{number}" for number in range(5)]
    assert "ceph/1 had a machine of the same name" in three.statuses[3].message
    assert not three.machines[3].exists("/var/lib/ceph/mon/ceph-machine-1")
    three.add_osd(3)
    three.destroy_machine(1)
    three.settle()
    assert "machine-1" in three.ceph.quorum
    assert three.ceph.careless == []


def test_a_job_that_forgets_a_machine_takes_nothing_of_a_later_one(four):
    """It was interrupted, and goes on when the name is another's."""
    four.ceph.recovers = False
    four.destroy_machine(3)
    four.update_status()
    assert "forget-machines-1" in dict(four.machines[0].jobs()).values()
    four.names[4] = "machine-3"
    four.add_unit()
    new = four.add_osd(4)
    four.ceph.recovers = True
    four.machines[0].run_jobs()
    assert four.ceph.osds[new].up
    assert 3 not in four.ceph.osds


def test_the_osds_of_a_unit_that_was_given_up_go_though_they_run(four):
    left = four.machines[3]
    four.ceph.give_up_monitors({"machine-3"})
    four.give_up_unit(3)
    four.settle()
    assert sorted(osd.host for osd in four.ceph.osds.values()) == ["machine-0", "machine-1", "machine-2"]
    assert left.services["ceph-osd@3.service"] == "active"
    assert four.ceph.lost == four.ceph.hasty == four.ceph.careless == []
    assert four.shared.get("draining") is None
    assert four.statuses[0] == ops.ActiveStatus()


def test_osds_that_cannot_be_taken_out_after_their_unit_are_told_of(four, monkeypatch):
    def refuse(**_arguments):
        raise twin.Refused(errno.EBUSY, "osd.3 is not `down`.")

    with monkeypatch.context() as patched:
        patched.setattr(four.ceph, "_do_osd_purge", refuse)
        four.destroy_machine(3)
        four.update_status()
        four.machines[0].run_jobs()
        four.update_status()
    status = four.statuses[0]
    assert isinstance(status, ops.WaitingStatus)
    assert "ceph/3 is gone, its OSDs are not out of the cluster yet" in status.message
    assert "osd.3 is not `down`" in status.message
    four.machines[0].sleep(job.FIRST_PAUSE)
    four.settle()
    assert 3 not in four.ceph.osds
    assert four.statuses[0] == ops.ActiveStatus()


# Options that daemons take while they run


def test_an_option_that_daemons_take_while_they_run_restarts_nothing(three):
    assert three.ceph.config["osd", "osd_memory_target"] == str(4 << 30)
    three.log()
    three.configure(osd_memory_target="2G", osd_pool_default_pg_num=16)
    # What the file was made of is on record.
    assert not [line for line in three.log() if "/rendered/" not in line]
    assert three.ceph.config["osd", "osd_memory_target"] == str(2 << 30)
    assert three.ceph.config["global", "osd_pool_default_pg_num"] == "16"
    three.configure(osd_pool_default_pg_num=0)
    assert ("global", "osd_pool_default_pg_num") not in three.ceph.config


# Crashes


def test_daemons_report_their_crashes_with_a_key_of_their_own(three):
    assert three.ceph.auth["client.crash"].caps == ["mon", "profile crash", "mgr", "profile crash"]
    for machine in three.machines.values():
        assert three.ceph.auth["client.crash"].key in machine.read("/etc/ceph/ceph.client.crash.keyring")
        assert machine.nodes["/etc/ceph/ceph.client.crash.keyring"].owner == ("ceph", "ceph")
        assert machine.services["ceph-crash.service"] == "active"
        assert "ExecStart=/usr/lib/openinfra/ceph-crash" in machine.read(
            "/etc/systemd/system/ceph-crash.service.d/openinfra.conf"
        )
    three.ceph.checks["RECENT_CRASH"] = "1 daemons have recently crashed"
    three.update_status()
    assert three.statuses[0] == ops.ActiveStatus("HEALTH_WARN: 1 daemons have recently crashed")


# What others have on the machine


def test_removal_takes_only_its_own_files(one):
    machine = one.machines[0]
    machine.have("/etc/ceph/backup.conf", "of another cluster")
    one.remove_unit(0)
    assert machine.list_folder("/etc/ceph") == ["backup.conf"]
    assert machine.masked == set()


def test_a_service_that_was_there_before_is_left_as_it_was(deploy):
    model = deploy(0)
    model.machines[0] = machine = _machine(model)
    machine.packages["nvme-cli"] = "2.13"
    model.unit_data[0] = {}
    model.run(0, model.on.install(), formed=False)
    assert machine.masked == set()


def test_a_monitor_whose_machine_has_another_address_says_so_and_stays_in_the_map(three):
    three.machines[1].address = "10.0.0.99"
    three.update_status()
    assert three.statuses[1].name == "blocked"
    assert "the address of ceph/1 was 10.0.0.11 and is 10.0.0.99 now" in three.statuses[1].message
    assert three.ceph.monitors["machine-1"] == "10.0.0.11"
    assert "10.0.0.11" in three.machines[0].read("/etc/ceph/ceph.conf")
    three.machines[1].address = "10.0.0.11"
    three.update_status()
    assert three.statuses[1].name == "active"
