"""Backups: what counts as one, and putting one back, with all units or for one database."""

import dataclasses
import json

import pytest
from ops import testing
from programs import UNIT
from test_charm import cut_power, pass_time, relation

from openinfra_charm.machine import Result

FOLDER = "/var/backups/mysql"


def back_up(model, number=0):
    """Make a backup and return its id."""
    model.action(number, "create-backup")
    return model.action(number, "list-backups")["result"][-1]["backup"]


def jobs(model, number=0):
    return {record["id"]: record for record in model.action(number, "show-job")["result"]}


def store(model, number=0):
    return model.galera.servers[f"machine-{number}"].load()


def fill(model, count=3):
    for _ in range(count):
        model.galera.write()


def listen(model):
    """Return a list that every status which a unit shows from now on is added to."""
    said, played = [], model._play

    def play(number, *args, **kwargs):
        played(number, *args, **kwargs)
        said.append(f"{model.statuses[number].name}: {model.statuses[number].message}")

    model._play = play
    return said


def test_a_backup_has_the_whole_server_and_each_database(three):
    three.relate(relation())
    name = back_up(three)
    (told,) = three.action(0, "list-backups")["result"]
    assert told["databases"] == ["glance", "mysql"]
    manifest = json.loads(three.machines[0].read(f"{FOLDER}/{name}/backup.json"))
    assert set(manifest["files"]) == {"full.mbstream.zst", "databases/glance.sql.zst"}
    assert three.action(1, "list-backups")["result"] == []


def test_a_bucket_can_be_read_before_the_first_backup(one):
    """Of another model, whose backups are in it."""
    assert "rclone" not in one.machines[0].packages
    keys = {"access-key": "access", "secret-key": "secret"}
    bucket = {"bucket": "backups", "endpoint": "https://10.0.0.9:7480", **keys}
    one.relate(testing.Relation("s3-parameters", remote_app_name="s3", remote_app_data=bucket))
    assert "rclone" in one.machines[0].packages


BUCKET = {
    "bucket": "backups",
    "endpoint": "https://10.0.0.9:7480",
    "access-key": "access",
    "secret-key": "secret",
}


def relate_bucket(model, **said):
    told = testing.Relation("s3-parameters", remote_app_name="s3", remote_app_data=BUCKET | said)
    model.relate(told)
    return told


def test_an_object_store_that_cannot_be_reached_is_said(one):
    relate_bucket(one)
    words = "2026/11/29 20:00:00 ERROR\n2026/11/29 20:00:00 Failed to lsjson: failed\ncaused by: connection refused\n"
    one.machines[0].handlers["rclone"] = lambda _argv, _stdin: Result(code=1, stdout="", stderr=words)
    why = "the object store of s3:backups cannot be used: Failed to lsjson: failed caused by: connection refused"
    assert why in one.refuse(0, "list-backups")
    assert why in one.refuse(0, "restore", backup="newest")
    one.action(0, "create-backup")
    assert why in jobs(one)["create-backup-1"]["progress"]
    assert beside(one, 0) == []
    assert one.machines[0].list_folder(FOLDER) == []


def test_a_bucket_in_which_nothing_is_yet_has_no_backups(one):
    relate_bucket(one, path="cloud")
    is_there = False

    def rclone(argv, _stdin):
        return Result(
            code=0 if is_there and argv[-1] != "s3:backups/cloud" else 3, stdout="", stderr="not found"
        )

    one.machines[0].handlers["rclone"] = rclone
    assert "the object store has no bucket backups" in one.refuse(0, "list-backups")
    is_there = True
    assert one.action(0, "list-backups")["result"] == []


@pytest.mark.parametrize("schedule", ["", "daily"])
def test_what_a_provider_of_buckets_says_wrong_changes_nothing(deploy, schedule):
    model = deploy(1, backup_schedule=schedule)
    client = relation()
    before = {path: node.content for path, node in model.machines[0].nodes.items() if path.startswith("/etc")}
    relate_bucket(model, path="x\nExecStartPre=/bin/sh")
    model.relate(client)
    after = {path: node.content for path, node in model.machines[0].nodes.items() if path.startswith("/etc")}
    assert after == before
    assert model.statuses[0].name == "blocked"
    assert model.statuses[0].message.startswith("s3 says path='x")
    assert "secret-user" in model.local[client.id, "app"]
    assert "path='x" in model.refuse(0, "create-backup")


def test_new_keys_of_a_bucket_are_taken(one):
    secret = testing.Secret({"access-key": "one", "secret-key": "two"})
    one.secrets |= {secret}
    told = BUCKET | {"access-key": "", "secret-key": "", "secret-extra": secret.id}
    one.relate(testing.Relation("s3-parameters", remote_app_name="s3", remote_app_data=told))
    assert "secret_access_key = two\n" in one.machines[0].read("/etc/mysql/backup/rclone.conf")
    newer = dataclasses.replace(secret, latest_content={"access-key": "one", "secret-key": "three"})
    one.secrets = one.secrets - {secret} | {newer}
    one.run(0, one.on.secret_changed(newer))
    assert "secret_access_key = three\n" in one.machines[0].read("/etc/mysql/backup/rclone.conf")


def test_what_can_be_saved_is_saved_and_the_rest_is_named(one):
    for database in ("glance", "nova"):
        one.relate(relation(database=database))
    server = one.galera.servers["machine-0"]
    server.invalid["nova"] = (
        "Couldn't execute 'SHOW FIELDS FROM `v`': View 'nova.v' references invalid table(s) (1356)"
    )
    back_up(one)
    (told,) = one.action(0, "list-backups")["result"]
    assert told["databases"] == ["glance", "mysql", "nova"]
    assert "View 'nova.v' references invalid table(s)" in told["not-saved"]["of nova"]
    record = jobs(one)["create-backup-1"]
    assert record["state"] == "done"
    one.update_status()
    assert "not saved: of nova: Couldn't execute" in one.statuses[0].message
    one.action(0, "restore", backup="newest", database="nova", confirm="nova")


def test_a_dump_that_lost_its_server_is_none(one):
    one.relate(relation())
    server = one.galera.servers["machine-0"]
    server.invalid["glance"] = (
        "Error 2013: Lost connection to server during query when dumping table `t` at row: 5"
    )
    back_up(one)
    (told,) = one.action(0, "list-backups")["result"]
    assert "Lost connection" in told["not-saved"]["glance"]
    assert "no dump of it" in one.refuse(0, "restore", backup="newest", database="glance", confirm="glance")


def test_a_backup_outlasts_a_power_loss(one):
    name = back_up(one)
    cut_power(one, 0)
    one.action(0, "verify-backup", backup=name)
    assert jobs(one)["verify-backup-2"]["state"] == "done"


@pytest.mark.parametrize("what", ["full.mbstream.zst", "backup.json"])
def test_what_is_not_whole_is_no_backup(one, what):
    name = back_up(one)
    one.machines[0].remove(f"{FOLDER}/{name}/{what}")
    assert one.action(0, "list-backups")["result"] == []


def test_a_failed_backup_leaves_the_others_and_says_why(one):
    one.configure(backup_retention=1)
    name = back_up(one)
    one.machines[0].clock += 60
    one.machines[0].broken["bash"] = "no space left"
    one.action(0, "create-backup")
    assert "no space left" in jobs(one)["create-backup-2"]["progress"]
    assert [told["backup"] for told in one.action(0, "list-backups")["result"]] == [name]
    one.run(0, one.on.update_status())
    assert "create-backup-2 failed" in one.statuses[0].message
    assert one.machines[0].list_folder(FOLDER) == [name]


def test_only_so_many_are_kept(one):
    one.configure(backup_retention=2)
    names = []
    for _ in range(4):
        names.append(back_up(one))
        one.machines[0].clock += 60
    assert [told["backup"] for told in one.action(0, "list-backups")["result"]] == names[-2:]


def test_a_damaged_backup_is_found(one):
    name = back_up(one)
    one.machines[0].have(f"{FOLDER}/{name}/full.mbstream.zst", "{}")
    one.action(0, "verify-backup", backup=name)
    record = jobs(one)["verify-backup-2"]
    assert record["state"] == "failed"
    assert "is damaged" in record["progress"]
    assert not one.machines[0].exists("/var/lib/mysql.verify")


def test_one_unit_that_takes_no_writes_makes_scheduled_backups(three):
    three.configure(backup_schedule="daily")
    pass_time(three)
    timers = [number for number, machine in three.machines.items() if "mysql-backup.timer" in machine.enabled]
    assert timers == [2]
    three.configure(backup_schedule="")
    assert not any("mysql-backup.timer" in machine.enabled for machine in three.machines.values())


def test_a_schedule_that_is_none_blocks(one):
    one.configure(backup_schedule="now and then")
    assert "backup-schedule='now and then'" in one.statuses[0].message


def test_a_backup_that_might_fill_the_disk_is_not_unpacked(three):
    fill(three)
    name = back_up(three, 2)
    three.machines[2].free = 1 << 20
    three.action(2, "verify-backup", backup=name)
    assert "/var/lib/mysql.verify has 1 MiB left" in jobs(three, 2)["verify-backup-2"]["progress"]
    three.action(0, "restore", backup=name, unit="mysql/2", confirm="mysql")
    pass_time(three)
    assert "restore" not in three.shared
    assert three.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]
    assert any("1 MiB left" in status.message for status in three.statuses.values())
    assert beside(three, 2) == []


# One database


def test_a_database_comes_back_and_nothing_else_changes(one):
    one.relate(relation())
    name = back_up(one)
    fill(one)
    server = one.galera.servers["machine-0"]
    before = server.load()
    before.databases.remove("glance")
    server.save(before)
    assert "say so with confirm=glance" in one.refuse(0, "restore", backup=name, database="glance")
    one.action(0, "restore", backup=name, database="glance", confirm="glance")
    assert store(one).databases == ["glance"]
    assert one.galera.lost() == []


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"backup": "x", "database": "glance"}, "no complete backup"),
        ({"database": "nova"}, "no dump of it; it has glance"),
        ({"database": "glance", "unit": "mysql/0"}, "unit is for the whole cluster"),
        ({"unit": "mysql/7"}, "no member of the cluster"),
        ({"confirm": "glance"}, "say so with confirm=mysql"),
    ],
)
def test_what_cannot_be_restored_is_refused(one, params, why):
    one.relate(relation())
    name = back_up(one)
    assert why in one.refuse(0, "restore", **({"backup": name} | params))


# All of it


def test_the_whole_cluster_is_as_it_was(three):
    client = relation()
    three.relate(client)
    fill(three)
    name = back_up(three, 2)
    writes = list(store(three).writes)
    three.action(0, "rotate-password", relation_id=client.id)
    fill(three)
    assert "restored" not in three.local[client.id, "app"]
    three.action(0, "restore", backup=name, unit="mysql/2", confirm="mysql")
    pass_time(three, 4)
    assert three.local[client.id, "app"]["restored"] == "1"
    assert three.galera.begun == ["machine-0", "machine-2"]
    assert three.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]
    assert [store(three, number).writes[: len(writes)] for number in range(3)] == [writes] * 3
    assert list(store(three).users) == [f"relation-{client.id}-1", f"relation-{client.id}-2"]
    (secret,) = three.secrets
    content = secret.latest_content
    assert content["password"] in store(three).users[content["username"]]
    assert "restore" not in three.shared
    assert {status.name for status in three.statuses.values()} == {"active"}


def test_nobody_gives_data_up_before_the_restored_ones_are_copied(three):
    fill(three)
    name = back_up(three, 2)
    fill(three)
    played = three._play

    def play(*args, **kwargs):
        played(*args, **kwargs)
        for server in three.galera.servers.values():
            assert any(store.seqno > 0 for store in server.copies())

    three._play = play
    three.action(0, "restore", backup=name, unit="mysql/2", confirm="mysql")
    pass_time(three, 4)
    assert three.galera.begun == ["machine-0", "machine-2"]
    assert "restore" not in three.shared
    assert [beside(three, number) for number in range(3)] == [[], [], ["mysql.before-restore-1"]]


def test_what_a_restore_has_replaced_goes_with_the_next_one_or_after_a_week(three):
    name = back_up(three)
    for number in (1, 2):
        three.action(0, "restore", backup=name, confirm="mysql")
        pass_time(three, 4)
        assert beside(three, 0) == [f"mysql.before-restore-{number}"]
    three.machines[0].clock += 8 * 86400
    three.update_status()
    assert beside(three, 0) == []


def test_what_a_failed_restore_has_left_is_deleted(three):
    three.machines[1].write("/var/lib/mysql.restore-7/ibdata1", "")
    three.machines[1].write("/var/lib/mysql.restore-7.unfinished/ibdata1", "")
    three.update_status()
    assert beside(three, 1) == []


def beside(model, number):
    """Return the names of what lies beside the server's data."""
    return [name for name in model.machines[number].list_folder("/var/lib") if name.startswith("mysql.")]


def test_users_of_nobody_go(three):
    client = relation()
    three.relate(client)
    name = back_up(three)
    three.run(0, three.on.relation_broken, relation=client.id)
    del three.relations[client.id]
    three.action(0, "restore", backup=name, confirm="mysql")
    pass_time(three, 4)
    assert store(three).databases == ["glance"]
    assert store(three).users == {}


def test_a_dry_run_changes_nothing(three):
    name = back_up(three)
    before = three.snapshot()
    told = three.action(0, "restore", backup=name, dry_run=True)
    assert told["result"]["overwrites"] == "all data of mysql/0, mysql/1, mysql/2"
    assert three.snapshot() == before


def test_a_backup_that_cannot_be_used_stops_nobody(three):
    name = back_up(three)
    three.machines[0].have(f"{FOLDER}/{name}/full.mbstream.zst", "{}")
    three.action(0, "restore", backup=name, confirm="mysql")
    pass_time(three, 2)
    assert [machine.starts[UNIT] for machine in three.machines.values()] == [1, 1, 1]
    assert "restore" not in three.shared
    assert three.galera.begun == ["machine-0"]


def test_nobody_begins_while_one_that_is_to_stop_is_away(three):
    name = back_up(three)
    three.machines[2].power_off()
    three.held.add(2)
    three.action(0, "restore", backup=name, confirm="mysql")
    for _ in range(3):
        for number in (0, 1):
            three.machines[number].sleep(60)
            three.run(number, three.on.update_status())
    assert three.galera.primaries() == []
    assert three.galera.begun == ["machine-0"]
    three.machines[2].power_on()
    three.held.clear()
    pass_time(three, 4)
    assert three.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]
    assert three.galera.begun == ["machine-0", "machine-0"]


@pytest.mark.parametrize("seconds", [10, 200])
def test_the_others_stay_stopped_until_a_slow_server_has_begun(three, seconds):
    name = back_up(three, 1)
    for machine in three.machines.values():
        machine.start_seconds = seconds
    said = listen(three)
    three.action(0, "restore", backup=name, unit="mysql/1", confirm="mysql")
    pass_time(three, 8)
    assert three.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]
    assert three.galera.begun == ["machine-0", "machine-1"]
    assert [machine.starts[UNIT] for machine in three.machines.values()] == [2, 2, 2]
    assert not any(message.startswith("blocked") for message in said)
    assert "restore" not in three.shared


def test_a_member_that_is_gone_from_the_model_is_not_waited_for(three):
    name = back_up(three)
    three.machines[2].power_off()
    three.held.add(2)
    three.action(0, "restore", backup=name, confirm="mysql")
    for number in (0, 1, 0):
        three.run(number, three.on.update_status())
    assert three.shared["restore"]["phase"] == "stop"
    three.destroy_machine(2)
    pass_time(three, 4)
    assert three.galera.primaries() == [["machine-0", "machine-1"]]
    assert "restore" not in three.shared
    assert [unit for unit, _ in three.shared["members"]] == ["mysql/0", "mysql/1"]


def lose_the_unit_in(model, phase):
    """Have mysql/2 take a backup back, and lose its machine in a phase."""
    fill(model)
    name = back_up(model, 2)
    played = model._play

    def play(number, *args, **kwargs):
        if model.shared.get("restore", {}).get("phase") == phase:
            model.held.add(2)
        if number not in model.held:
            played(number, *args, **kwargs)

    model._play = play
    model.action(0, "restore", backup=name, unit="mysql/2", confirm="mysql")
    pass_time(model, 2)
    assert model.shared["restore"]["phase"] == phase
    model.destroy_machine(2)
    pass_time(model, 4)
    assert "restore" not in model.shared


def test_a_restore_whose_unit_is_gone_from_the_model_is_the_operators_to_end(three):
    """It has not said that it has stopped, and so may have the newest data."""
    lose_the_unit_in(three, "stop")
    assert "mysql/2 may hold the newest data" in three.statuses[0].message
    three.action(0, "force-bootstrap", unit="mysql/0", confirm="mysql/2")
    pass_time(three, 4)
    assert three.galera.primaries() == [["machine-0", "machine-1"]]


def test_the_others_put_their_data_back_when_those_that_were_restored_are_gone(three):
    lose_the_unit_in(three, "begin")
    pass_time(three, 4)
    assert three.galera.primaries() == [["machine-0", "machine-1"]]
    assert three.galera.lost() == []
    assert [beside(three, number) for number in (0, 1)] == [[], []]


def test_no_hook_waits_too_long_for_both_the_server_and_the_data(three):
    name = back_up(three)
    three.held.update(three.machines)
    three.action(0, "restore", backup=name, confirm="mysql")
    for machine in three.machines.values():
        machine.start_seconds = 100
    cut_power(three, 0, 1, 2)
    three.held.clear()
    three.run(0, three.on.start())
    assert jobs(three)["prepare-restore-2"]["state"] == "done"


@pytest.mark.parametrize("seconds", [0, 100])
def test_a_power_loss_of_all_half_way_changes_nothing_in_the_end(three, seconds):
    for machine in three.machines.values():
        machine.start_seconds = seconds
    fill(three)
    name = back_up(three)
    writes = list(store(three).writes)
    fill(three)
    played, cut = three._play, []

    def play(*args, **kwargs):
        played(*args, **kwargs)
        phase = three.shared.get("restore", {}).get("phase")
        if phase and phase not in cut:
            cut.append(phase)
            cut_power(three, 0, 1, 2)

    three._play = play
    three.action(0, "restore", backup=name, confirm="mysql")
    pass_time(three, 12)
    assert cut == ["prepare", "stop", "swap", "begin", "copy"]
    assert three.galera.primaries() == [["machine-0", "machine-1", "machine-2"]]
    assert store(three).writes[: len(writes)] == writes
    assert "restore" not in three.shared
