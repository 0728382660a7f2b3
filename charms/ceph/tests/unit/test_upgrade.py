"""An upgrade of the whole application: packages, then monitors, managers and OSDs, held by the cluster's health."""

import re

import ops
import pytest
from ops import testing

from versions import Daemon, Running

SOURCE = "deb http://deb.example.org/debian forky main"
PLACE = "http://deb.example.org/debian forky"
OLD, NEW = "18.2.7", "20.2.4"


def daemons(**kinds):
    """Return daemons by their versions: `mon="18.2.7 20.2.4"`."""
    return tuple(
        Daemon(kind=kind, name=str(name), version=version, host=f"machine-{name}")
        for kind, versions in kinds.items()
        for name, version in enumerate(versions.split())
    )


# The order, as one unit sees it


@pytest.mark.parametrize(
    ("versions", "kind", "name", "why"),
    [
        ({"mon": f"{OLD} {OLD}"}, "mon", "1", ""),
        ({"mon": f"{OLD} {OLD}"}, "mon", "0", "mon.1 first"),
        ({"mon": f"{OLD} {NEW}"}, "mon", "0", ""),
        ({"mon": f"{NEW} {OLD}", "mgr": f"{OLD} {OLD}"}, "mgr", "1", "mon.1 first"),
        ({"mon": f"{NEW} {NEW}", "mgr": f"{OLD} {OLD}"}, "mgr", "1", ""),
        ({"mon": f"{NEW} {NEW}", "mgr": f"{OLD} {OLD}"}, "mgr", "0", "mgr.1 first"),
        ({"mon": f"{NEW} {NEW}", "mgr": f"{OLD} {NEW}"}, "mgr", "0", ""),
        ({"mon": f"{NEW} {NEW}", "mgr": f"{OLD} {NEW}", "osd": OLD}, "osd", "0", "mgr.0 first"),
        ({"mon": f"{NEW} {OLD}", "mgr": f"{NEW} {NEW}", "osd": OLD}, "osd", "0", "mon.1 first"),
        ({"mon": f"{NEW} {NEW}", "mgr": f"{NEW} {NEW}", "osd": OLD}, "osd", "0", ""),
    ],
)
def test_monitors_before_managers_before_osds(versions, kind, name, why):
    running = Running(daemons=daemons(**versions), last=frozenset({"mon.0", "mgr.0"}))
    assert running.why_not_yet(kind, name, NEW) == why


@pytest.mark.parametrize(
    ("versions", "progress"),
    [
        ({"mon": f"{NEW} {OLD} {OLD}", "osd": OLD}, "upgrading Ceph 18.2.7 to 20.2.4: 1 of 3 monitors restarted"),
        ({"mon": NEW, "mgr": f"{NEW} {OLD}"}, "upgrading Ceph 18.2.7 to 20.2.4: 1 of 2 managers restarted"),
        ({"mon": NEW, "mgr": NEW, "osd": f"{OLD} {NEW}"}, "upgrading Ceph 18.2.7 to 20.2.4: 1 of 2 OSDs restarted"),
        ({"mon": NEW, "mgr": NEW, "osd": NEW}, ""),
    ],
)  # fmt: skip
def test_it_tells_how_far_it_is(versions, progress):
    assert Running(daemons=daemons(**versions)).progress(NEW) == progress


# All units


def offer(model, version=f"{NEW}+ds-2"):
    for machine in model.machines.values():
        machine.ceph.archives[PLACE] = version


def versions(model):
    return {kind: set(found.values()) for kind, found in model.ceph.versions.items()}


def restarted(model):
    """Return the daemons that were restarted, in order, and forget it. Logs of machines are not ordered among them."""
    return [line for line in model.log() if ": restart ceph-" in line]


@pytest.fixture
def order(full, monkeypatch):
    """All restarts of three units with a disk and data each, in their order."""
    seen = []
    for machine in full.machines.values():
        plain = machine.restart_services

        def restart(*units, plain=plain, name=machine.name):
            seen.extend(unit.removesuffix(".service").removeprefix("ceph-") for unit in units)
            plain(*units)

        monkeypatch.setattr(machine, "restart_services", restart)
    return seen


def test_a_source_upgrades_the_cluster_in_ceph_s_order(full, order):
    offer(full)
    full.configure(source=SOURCE)
    full.settle(6)
    assert versions(full) == {"mon": {NEW}, "mgr": {NEW}, "osd": {NEW}}
    assert [name.partition("@")[0] for name in order[:9]] == ["mon"] * 3 + ["mgr"] * 3 + ["osd"] * 3
    assert full.ceph.disorder == []
    assert full.ceph.required == "tentacle"
    assert (full.ceph.host_flags, full.ceph.careless, full.ceph.lost) == ({}, [], [])
    assert {status.name for status in full.statuses.values()} == {"active"}
    full.log()
    full.settle(1)
    assert full.log() == []


def test_what_ceph_says_of_old_keys_holds_nothing_up(full):
    offer(full)
    full.ceph.checks["AUTH_INSECURE_SERVICE_KEY_TYPE"] = "6 auth service entities with insecure key types"
    full.ceph.errors.add("AUTH_INSECURE_SERVICE_KEY_TYPE")
    full.configure(source=SOURCE)
    full.settle(6)
    assert versions(full)["osd"] == {NEW}


def test_an_error_holds_it_up_and_it_goes_on_by_itself(full, order):
    offer(full)
    full.configure(source=SOURCE)
    full.ceph.checks["OSD_FULL"] = "1 full osd(s)"
    full.ceph.errors.add("OSD_FULL")
    full.settle(3)
    assert order == []
    assert any("HEALTH_ERR: 1 full osd(s)" in status.message for status in full.statuses.values())
    full.ceph.checks.clear()
    full.settle(6)
    assert versions(full)["osd"] == {NEW}


def test_the_leading_monitor_is_the_last(full, order):
    offer(full)
    full.configure(source=SOURCE)
    full.settle(6)
    assert order[2] == "mon@machine-0"


def test_the_active_manager_is_the_last_and_hands_over(full, order):
    offer(full)
    active = next(iter(full.ceph.managers))
    full.configure(source=SOURCE)
    full.settle(6)
    assert [name for name in order[:9] if name.startswith("mgr")][-1] == f"mgr@{active}"
    assert "mgr fail" in full.ceph.commands


def test_no_daemon_is_restarted_before_all_monitors_machines_have_the_packages(full, order):
    offer(full)
    full.machines[2].ceph.archives.clear()
    full.configure(source=SOURCE)
    full.settle()
    assert order == []
    assert full.statuses[0].message == (
        "upgrading Ceph 18.2.7 to 20.2.4: 0 of 3 monitors restarted; for 20.2.4 on ceph/2 (18.2.7)"
    )
    assert full.statuses[2].name == "blocked"
    assert "404  Not Found" in full.statuses[2].message
    offer(full)
    full.machines[2].sleep(60)
    full.settle(6)
    assert versions(full)["osd"] == {NEW}


def test_a_monitor_that_does_not_come_back_stops_it(full, order):
    offer(full)
    full.ceph.stuck = set()
    full.configure(source=SOURCE)
    for machine in full.machines.values():
        machine.run_jobs()
    full.ceph.stuck = {"machine-0"}
    full.settle(3)
    assert len(order) <= 1
    assert any("quorum" in status.message for status in full.statuses.values())
    full.ceph.stuck = set()
    full.settle(6)
    assert versions(full) == {"mon": {NEW}, "mgr": {NEW}, "osd": {NEW}}
    assert full.ceph.disorder == []


def test_a_daemon_that_does_not_start_is_named_with_what_to_do(full, order, monkeypatch):
    offer(full)
    full.configure(source=SOURCE)
    refuses = {"on": True}
    for machine in full.machines.values():
        can_run = machine.ceph.can_run
        monkeypatch.setattr(
            machine.ceph,
            "can_run",
            lambda unit, able=can_run: able(unit) and not ("osd" in unit and refuses["on"]),
        )
    full.settle(4)
    (stopped,) = [status for status in full.statuses.values() if "stops here" in status.message]
    assert stopped.name == "blocked"
    assert re.search(
        r"ceph-osd@(\d) does not run; see juju ssh ceph/\d journalctl -u ceph-osd@\1", stopped.message
    )
    assert len([name for name in order if name.startswith("osd")]) == 1
    refuses["on"] = False
    full.every()
    full.settle(6)
    assert versions(full)["osd"] == {NEW}
    assert full.ceph.host_flags == {}


def test_osds_wait_until_data_are_whole_again(full, order):
    offer(full)
    full.ceph.recovers = False
    full.configure(source=SOURCE)
    full.settle(6)
    full.ceph.recovers = True
    full.settle(6)
    assert versions(full)["osd"] == {NEW}
    assert full.ceph.lost == []


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda model: model.ceph.flags.add("noout"), "the cluster has the flags noout"),
        (lambda model: model.ceph.stuck.add("machine-2"), "monitors that are not in quorum: machine-2"),
        (lambda model: model.ceph.host_flags.update({"machine-1": ["noout"]}), "work goes on at machine-1"),
        (lambda model: setattr(model.ceph, "required", "quincy"), "all OSDs run reef, and the cluster requires quincy"),
    ],
)  # fmt: skip
def test_nothing_is_installed_where_the_cluster_is_not_ready(full, spoil, why):
    offer(full)
    spoil(full)
    full.config["source"] = SOURCE
    full.run(1, full.on.config_changed())
    assert full.statuses[1].name == "waiting"
    assert f"to upgrade Ceph: {why}" in full.statuses[1].message
    assert full.machines[1].jobs() == []


def test_a_jump_that_ceph_does_not_make_is_refused(full):
    offer(full, "21.1.0+ds-1")
    full.configure(source=SOURCE)
    full.settle(2)
    assert full.statuses[0].name == "blocked"
    assert "it has Ceph 21.1.0, and this charm knows" in full.statuses[0].message
    assert full.machines[0].packages["ceph-osd"].startswith(OLD)
    full.configure(source="")
    assert full.statuses[0].name == "active"


def test_newer_packages_of_the_same_release_go_the_same_order(full, order):
    for machine in full.machines.values():
        machine.ceph.version = "18.2.8+ds-1"
        machine.install_packages(machine.packages)
    full.every()
    full.settle(6)
    assert [name.partition("@")[0] for name in order] == ["mon"] * 3 + ["mgr"] * 3 + ["osd"] * 3
    assert "osd require-osd-release" not in full.ceph.commands


def test_a_rebuild_of_the_same_version_restarts_too(full, order):
    for machine in full.machines.values():
        machine.ceph.version = "18.2.7+ds-1+deb13u2"
        machine.install_packages(machine.packages)
    full.every()
    full.settle(6)
    assert sorted(name.partition("@")[0] for name in order) == ["mgr"] * 3 + ["mon"] * 3 + ["osd"] * 3


def test_osds_that_share_a_machine_with_all_copies_go_one_by_one(one, monkeypatch):
    for name in ("sdb", "sdc", "sdd"):
        one.add_osd(0, name)
    one.fill()
    offer(one)
    together = []
    plain = one.machines[0].restart_services
    monkeypatch.setattr(
        one.machines[0], "restart_services", lambda *units: (together.append(units), plain(*units))
    )
    one.configure(source=SOURCE)
    one.settle(6)
    assert versions(one) == {"mon": {NEW}, "mgr": {NEW}, "osd": {NEW}}
    # Once for the new version, and once for the new key.
    assert len([units for units in together if "osd" in units[0]]) == 6
    assert one.ceph.required == "tentacle"


def test_an_osd_that_is_down_keeps_the_cluster_from_requiring_the_new_release(four):
    offer(four)
    four.configure(source=SOURCE)
    for machine in four.machines.values():
        machine.run_jobs()
    four.machines[3].power_off()
    four.ceph.osds[3].inside = False
    four.held.add(3)
    four.settle(8)
    assert four.ceph.required == "reef"
    assert "3 of 4 OSDs restarted; next osd.3 on machine-3" in four.statuses[0].message
    four.machines[3].power_on()
    four.held.clear()
    four.settle(8)
    assert four.ceph.required == "tentacle"


def test_a_unit_that_is_behind_says_so_and_others_say_what_they_wait_for(four):
    for number in range(3):
        machine = four.machines[number]
        machine.ceph.version = "18.2.8+ds-1"
        machine.install_packages(machine.packages)
    four.every()
    four.settle(6)
    assert four.statuses[3] == ops.WaitingStatus(
        "for Ceph 18.2.8, which others run: 18.2.7 is installed on this machine"
    )
    assert four.statuses[0] == ops.MaintenanceStatus(
        "upgrading Ceph 18.2.7 to 18.2.8: 3 of 4 OSDs restarted; next osd.3 on machine-3"
    )


def test_daemons_of_other_applications_see_what_the_whole_cluster_runs(full):
    relation = testing.Relation(
        "mds", remote_app_name="ceph-fs", remote_units_data={0: {"mds-name": "host-a"}}
    )
    full.relations[relation.id] = relation
    full.every(full.on.relation_created, relation=relation.id)
    assert full.local[relation.id, 1]["ceph-version"] == OLD
    offer(full)
    full.configure(source=SOURCE)
    full.settle(3)
    told = {full.local[relation.id, number]["ceph-version"] for number in range(3)}
    assert told <= {OLD, NEW}
    full.settle(6)
    assert {full.local[relation.id, number]["ceph-version"] for number in range(3)} == {NEW}


def test_needrestart_is_told_where_it_is(full):
    full.machines[0].have("/etc/needrestart/needrestart.conf", "")
    full.update_status()
    path = "/etc/needrestart/conf.d/90-openinfra-ceph.conf"
    assert "ceph-(mon|mgr|osd)@" in full.machines[0].read(path)
    assert not full.machines[1].exists(path)
