"""What operators ask for, and what is refused."""

import json

import ops
import programs
import pytest

from openinfra_charm.machine import Result

ALL = {"machine-0", "machine-1", "machine-2"}


def settle(model):
    for _ in range(3):
        model.update_status()


def test_the_cluster_is_shown_as_a_unit_sees_it(three):
    shown = three.action(1, "cluster-status")
    assert shown["summary"] == (
        "northbound: 3 of 3 members connected, follower; southbound: 3 of 3 members connected, follower; northd: standby"
    )
    assert shown["result"]["northbound"] == {
        "cluster": three.shared["clusters"]["nb"],
        "state": "cluster member",
        "role": "follower",
        "leader": "ovn-central/0",
        "election-timer": 4000,
        "members": dict.fromkeys(("ovn-central/0", "ovn-central/1", "ovn-central/2"), "connected"),
    }
    assert shown["result"]["members"] == three.shared["members"]


def test_a_cluster_without_a_quorum_is_shown_too(three):
    three.power_off(0, 1)
    shown = three.action(2, "cluster-status")
    assert shown["summary"].startswith("northbound: 1 of 3 members connected, candidate, no leader")
    assert shown["result"]["northbound"]["members"]["ovn-central/0"] == "not connected"


def test_a_spare_has_no_database_to_show(deploy):
    assert deploy(2).action(1, "cluster-status")["summary"] == (
        "northbound: does not answer here; southbound: does not answer here; northd: does not answer"
    )


# Members


def test_a_member_is_kicked_and_comes_back_with_new_servers(three):
    before = dict(three.shared["members"]["ovn-central/1"])
    assert (
        "would be removed, a quorum remains"
        in three.action(0, "kick-member", unit="ovn-central/1")["summary"]
    )
    assert three.shared["members"]["ovn-central/1"] == before
    three.action(0, "kick-member", unit="ovn-central/1", dry_run=False)
    settle(three)
    assert three.members("nb") == three.members("sb") == [ALL]
    assert [len(config) for config in three.ovn.configs.values()] == [3, 3]
    assert not set(before.values()) & set(three.shared["members"]["ovn-central/1"].values())


def test_a_member_that_is_away_is_kicked_and_comes_back_with_new_servers(three):
    three.ovn.write()
    three.power_off(1)
    three.action(0, "kick-member", unit="ovn-central/1", dry_run=False)
    settle(three)
    assert [len(config) for config in three.ovn.configs.values()] == [2, 2]
    three.power_on(1)
    settle(three)
    assert three.members("nb") == three.members("sb") == [ALL]
    assert not three.ovn.lost("nb")


def test_the_leader_kicks_itself(three):
    three.action(0, "kick-member", unit="ovn-central/0", dry_run=False)
    settle(three)
    assert three.members("nb") == three.members("sb") == [ALL]


def test_nobody_is_kicked_without_a_quorum(three):
    assert three.refuse(1, "kick-member", unit="ovn-central/0") == (
        "only the leader can do this: juju run ovn-central/leader kick-member unit=ovn-central/0"
    )
    assert three.refuse(0, "kick-member", unit="ovn-central/7") == (
        "unit=ovn-central/7: it is no member; members are ovn-central/0, ovn-central/1, ovn-central/2"
    )
    three.power_off(2)
    assert three.refuse(0, "kick-member", unit="ovn-central/1", dry_run=False) == (
        "without ovn-central/1 the northbound database has no quorum: 1 of 2 other members are connected"
    )
    three.power_off(1)
    assert "has no quorum here, so nobody can be removed" in three.refuse(
        0, "kick-member", unit="ovn-central/1"
    )


def test_the_only_member_is_not_kicked(one):
    assert (
        one.refuse(0, "kick-member", unit="ovn-central/0")
        == "unit=ovn-central/0: the databases are on it alone"
    )


def test_a_spare_takes_the_place_of_one_that_is_to_be_removed(deploy):
    model = deploy(2)
    assert model.action(0, "prepare-removal", dry_run=True)["summary"] == (
        "possible: another unit joins the databases first"
    )
    model.action(0, "prepare-removal")
    settle(model)
    assert model.members() == [{"machine-0", "machine-1"}]
    assert "ready for juju remove-unit ovn-central/0" in model.statuses[0].message
    model.remove_unit(0)
    assert model.members() == [{"machine-1"}]


def test_a_removal_that_costs_the_quorum_is_not_prepared(three):
    three.power_off(2)
    assert "would lose its quorum: 1 of the 2 other members are connected" in three.refuse(
        0, "prepare-removal"
    )


def test_the_last_unit_is_not_prepared_for_removal(one):
    assert "is the last unit: the databases go with it" in one.refuse(0, "prepare-removal")


def test_a_unit_stays_after_all(three):
    three.action(1, "prepare-removal")
    three.action(1, "prepare-removal", cancel=True)
    settle(three)
    assert three.statuses[1] == ops.ActiveStatus()


# When the quorum is lost for good


def test_what_one_unit_has_begins_new_clusters(three):
    three.ovn.write()
    old = set(three.ovn.configs)
    three.destroy_machine(1)
    three.power_off(2)
    three.held.discard(2)
    three.destroy_machine(2)
    three.update_status()
    assert "has no quorum" in three.statuses[0].message
    three.action(0, "force-bootstrap", unit="ovn-central/0", confirm="ovn-central")
    settle(three)
    assert three.members("nb") == three.members("sb") == [{"machine-0"}]
    assert not old & set(three.shared["clusters"].values())
    assert not three.ovn.lost("nb")
    three.add_unit()
    three.add_unit()
    settle(three)
    assert three.members("nb") == [{"machine-0", "machine-3", "machine-4"}]


def test_members_that_come_back_after_it_join_the_new_clusters(three):
    """What they have acknowledged among themselves meanwhile is given up with them."""
    three.ovn.write()
    before = {key: set(numbers) for key, numbers in three.ovn.acknowledged.items()}
    three.power_off(1, 2)
    three.action(0, "force-bootstrap", unit="ovn-central/0", confirm="ovn-central")
    settle(three)
    three.power_on(1, 2)
    settle(three)
    assert three.members("nb") == three.members("sb") == [ALL]
    assert not before["sb"] & set(three.ovn.lost("sb"))
    assert [status for status in three.statuses.values() if status != ops.ActiveStatus()] == []


def test_databases_that_are_gone_are_founded_anew(one):
    machine = one.machines[0]
    machine.power_off()
    machine.lose(programs.path_of("nb"))
    machine.lose(programs.path_of("sb"))
    machine.power_on()
    one.update_status()
    one.action(0, "force-bootstrap", unit="ovn-central/0", confirm="ovn-central")
    settle(one)
    assert one.members("nb") == one.members("sb") == [{"machine-0"}]
    assert one.statuses[0] == ops.ActiveStatus()
    before = dict(one.shared["members"])
    one.add_unit()
    one.add_unit()
    settle(one)
    assert one.members("nb") == one.members("sb") == [ALL]
    assert one.shared["members"].items() >= before.items()


def test_nothing_is_forced_that_needs_no_force(three):
    words = {"unit": "ovn-central/0", "confirm": "ovn-central"}
    assert three.refuse(0, "force-bootstrap", **words) == (
        "a database has a quorum: nothing needs force; see cluster-status"
    )
    three.power_off(1, 2)
    assert "would be given up; confirm with confirm=ovn-central" in three.refuse(
        0, "force-bootstrap", unit="ovn-central/0", confirm="yes"
    )
    assert "there is no such unit" in three.refuse(
        0, "force-bootstrap", unit="ovn-central/9", confirm="ovn-central"
    )
    assert "only the leader" in three.refuse(2, "force-bootstrap", **words)


# Daemons


def test_a_paused_unit_stays_stopped_and_comes_back(three):
    three.action(1, "pause")
    settle(three)
    three.machines[1].power_off()
    three.machines[1].power_on()
    assert three.members() == [{"machine-0", "machine-2"}]
    assert three.statuses[1] == ops.MaintenanceStatus("paused; start it again: juju run ovn-central/1 resume")
    three.action(1, "resume")
    settle(three)
    assert three.members("nb") == three.members("sb") == [ALL]


def test_nobody_is_paused_whom_the_quorum_needs(three):
    three.action(1, "pause")
    assert "would lose its quorum: only 2 of 3 members are connected" in three.refuse(2, "pause")


def test_a_paused_unit_is_removed_like_any_other(three):
    three.action(1, "pause")
    three.remove_unit(1)
    settle(three)
    assert [len(config) for config in three.ovn.configs.values()] == [2, 2]


# Backups


def backups(model, number=0):
    return model.machines[number].list_folder("/var/backups/ovn-central")


def test_a_backup_is_made_and_read(one):
    one.ovn.write()
    started = one.action(0, "backup")
    assert started["result"] == {"job-id": "create-backup-1"}
    (job,) = one.action(0, "show-job")["result"]
    (name,) = backups(one)
    assert (job["state"], job["progress"]) == ("done", f"backup /var/backups/ovn-central/{name}")
    text = one.machines[0].read(f"/var/backups/ovn-central/{name}")
    assert json.loads(text.removeprefix("OVSDB JSON ")) == one.ovn.acknowledged["nb"]


def test_old_backups_go_when_a_new_one_is_complete(deploy):
    model = deploy(1, backup_retention=2)
    names = []
    for _ in range(3):
        model.action(0, "backup")
        names.append(set(backups(model)))
        model.machines[0].clock += 60
    assert [len(one) for one in names] == [1, 2, 2]
    assert names[2] & names[1] == {max(names[1])}


def test_a_backup_that_cannot_be_read_is_none(one):
    one.action(0, "backup")
    machine = one.machines[0]
    machine.handlers["ovsdb-client"] = lambda argv, stdin: Result(code=0, stdout="OVSDB", stderr="")
    one.action(0, "backup")
    jobs = one.action(0, "show-job")["result"]
    assert jobs[-1]["state"] == "failed"
    assert jobs[-1]["progress"].startswith("the backup cannot be read:")
    assert len(backups(one)) == 1
    one.update_status()
    assert "create-backup-2 failed" in one.statuses[0].message


def test_a_backup_without_room_says_so(one):
    one.machines[0].free = 1 << 20
    one.action(0, "backup")
    (job,) = one.action(0, "show-job")["result"]
    assert (
        job["progress"]
        == "/var/backups/ovn-central has less than 64 MiB left: make room, or set backup-directory"
    )


@pytest.mark.parametrize("action", ["backup", "compact"])
def test_a_spare_names_who_has_the_databases(deploy, action):
    model = deploy(2)
    assert model.refuse(1, action) == (f"ovn-central/1 runs no database: juju run ovn-central/0 {action}")


def test_files_are_compacted(one):
    assert one.action(0, "compact")["summary"] == "both databases are compacted"
    one.machines[0].services["ovn-ovsdb-server-sb.service"] = "failed"
    assert "the southbound database: ovn-appctl: cannot connect" in one.refuse(0, "compact")
