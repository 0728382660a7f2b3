"""The charm between Juju and the machine: what it asks for, who has the lock, its status, volumes and keys."""

import json

import asked
import monitors
import ops
import pytest
from play import CEPH, Model

import check
from openinfra_charm.machine import use

UNIT = "ceph-mds@machine-0.service"


def restarts(model):
    return [
        sum(line.startswith("restart ceph-mds@") for line in machine.log)
        for machine in model.machines.values()
    ]


def test_one_serves_and_the_others_stand_by(deploy):
    model = deploy(2)
    assert model.filesystem.states() == {"machine-0": "up:active", "machine-1": "up:standby"}
    assert [model.statuses[number] for number in range(2)] == [ops.ActiveStatus("")] * 2
    options = model.machines[0].mds.options
    assert (options["fsid"], options["public_addr"]) == ("fsid-1", "10.0.0.10")
    assert (options["ms_bind_port_min"], options["ms_bind_port_max"]) == ("7570", "7579")


def test_a_unit_alone_says_that_none_stands_by(deploy):
    assert deploy(1).statuses[0] == ops.ActiveStatus("no metadata server stands by: juju add-unit ceph-fs")
    assert deploy(2, max_mds=2).statuses[0] == ops.ActiveStatus(
        "no metadata server stands by: juju add-unit ceph-fs"
    )


def test_the_file_system_is_asked_for_in_the_applications_name(deploy):
    model = deploy(1, max_mds=2, standby_replay=True)
    asked = json.loads(model.local[CEPH, 0]["broker_req"])
    assert asked["ops"][-1] == {
        "op": "create-cephfs", "mds_name": "ceph-fs", "metadata_pool": "ceph-fs.meta", "data_pool": "ceph-fs.data",
        "max_mds": 2, "standby_replay": True,
    }  # fmt: skip
    assert [entry["name"] for entry in asked["ops"][:-1]] == ["ceph-fs.meta", "ceph-fs.data"]
    assert model.local[CEPH, "app"] == {"requested-secrets": '["key"]'}


def test_another_number_of_servers_is_asked_for_without_a_restart(deploy):
    model = deploy(2)
    before = json.loads(model.local[CEPH, 0]["broker_req"])["request-id"]
    model.configure(max_mds=2)
    asked = json.loads(model.local[CEPH, 0]["broker_req"])
    assert asked["request-id"] != before
    assert asked["ops"][-1]["max_mds"] == 2
    assert restarts(model) == [0, 0]


def test_a_second_reconcile_changes_nothing(deploy):
    model = deploy(2)
    before = model.snapshot()
    for machine in model.machines.values():
        machine.log.clear()
    model.update_status()
    assert [machine.log for machine in model.machines.values()] == [[], []]
    assert model.snapshot() == before


def test_a_hook_with_nothing_new_runs_few_programs(deploy):
    model = deploy(2)
    with asked.programs(model.machines[1]) as ran:
        model.run(1, model.on.config_changed())
    assert sorted(ran) == ["dpkg-query", "systemctl"]


def test_the_key_is_the_daemons_alone(deploy):
    machine = deploy(1).machines[0]
    holders = [path for path, node in machine.nodes.items() if "cephx-key" in (node.content or "")]
    assert holders == ["/etc/ceph-fs/keyring"]
    assert (machine.nodes[holders[0]].mode, machine.nodes[holders[0]].owner) == (0o600, ("ceph", "ceph"))


def test_another_option_restarts_every_unit_once_in_its_turn(deploy):
    model = deploy(3)
    serving = []
    for machine in model.machines.values():
        restart = machine.restart_services

        def watch(*units, restart=restart):
            restart(*units)
            serving.append(len(model.filesystem.states()))

        machine.restart_services = watch
        machine.start_seconds = 2
    model.configure(mds_cache_memory_limit="1G")
    assert restarts(model) == [1, 1, 1]
    assert serving == [2, 2, 2]
    assert {machine.mds.options["mds_cache_memory_limit"] for machine in model.machines.values()} == {
        str(1 << 30)
    }


def test_without_ceph_it_says_what_to_integrate(deploy):
    model = deploy(1, has_ceph=False)
    assert model.statuses[0] == ops.BlockedStatus("integrate with Ceph: juju integrate ceph-fs:ceph ceph:mds")
    assert model.machines[0].services == {}


def test_a_hook_that_is_about_nothing_leaves_what_is_waited_for(deploy):
    model = deploy(2, has_ceph=False)
    model.run(0, lambda peers: model.on.relation_joined(peers, remote_unit=1))
    assert model.statuses[0] == ops.BlockedStatus("integrate with Ceph: juju integrate ceph-fs:ceph ceph:mds")


def test_a_daemon_that_died_is_told_by_every_hook(deploy):
    model = deploy(2)
    model.machines[0].services[UNIT] = "failed"
    model.run(0, lambda peers: model.on.relation_joined(peers, remote_unit=1))
    assert model.statuses[0] == ops.BlockedStatus(
        f"ceph-mds does not run; see juju ssh ceph-fs/0 journalctl -u {UNIT}"
    )


def test_ceph_refusing_is_told():
    model = Model(1, has_ceph=False)
    answer = {
        "api-version": 1,
        "exit-code": 1,
        "stderr": "another file system",
        "request-id": "ceph-fs-1-false",
    }
    model.relations[CEPH] = monitors.relation(CEPH)
    model.tell(CEPH, unit={"broker-rsp-ceph-fs-0": json.dumps(answer)})
    model.update_status()
    assert model.statuses[0] == ops.BlockedStatus("ceph refuses: another file system")


def test_another_application_on_the_machine_blocks(deploy):
    model = deploy(1)
    model.machines[0].have("/var/lib/openinfra/owners/ceph-mds", "other/0\n")
    model.update_status()
    assert model.statuses[0] == ops.BlockedStatus(
        "other/0 runs a metadata server on this machine already: remove one of the two"
    )
    assert "other/0 runs a metadata server on this machine: juju run other/0 pause" in model.refuse(
        0, "pause"
    )


def test_a_daemon_that_died_is_started_by_the_next_hook(deploy):
    model = deploy(1)
    model.machines[0].services[UNIT] = "failed"
    model.update_status()
    assert model.machines[0].services[UNIT] == "active"


def test_when_ceph_goes_the_daemon_stops(deploy):
    model = deploy(1)
    model.run(0, model.on.relation_broken, relation=CEPH)
    assert model.machines[0].services[UNIT] == "inactive"


def test_what_a_unit_had_goes_with_it_and_data_stay(deploy):
    model = deploy(1)
    model.action(0, "create-volume", name="home")
    machine = model.machines[0]
    model.run(0, model.on.stop())
    model.run(0, model.on.remove(), formed=False)
    assert machine.services[UNIT] == "inactive"
    assert [path for path in machine.nodes if "ceph-fs" in path or "ceph-mds" in path] == []
    assert "ceph-mds" not in machine.packages
    assert list(model.filesystem.volumes) == ["home"]


# Actions


def test_a_volume_and_a_key_to_it(deploy):
    model = deploy(1)
    path = model.action(0, "create-volume", name="home", size="10G")["result"]["path"]
    done = model.action(0, "authorize", volume="home", client="web")["result"]
    assert done == {
        "key": "twin-volume-key-1", "user": "client.web", "path": path, "filesystem": "ceph-fs",
        "monitors": ["10.0.0.1"], "fsid": "fsid-1",
    }  # fmt: skip
    (volume,) = model.action(0, "list-volumes")["result"]
    assert volume == {"name": "home", "path": path, "used": 0, "limit": 10 << 30, "clients": {"web": "rw"}}
    assert model.filesystem.volumes["home"].isolated
    assert not [p for p, node in model.machines[0].nodes.items() if done["key"] in (node.content or "")]


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("create-volume", {"name": "a/b"}, "name=a/b: expected letters"),
        ("create-volume", {"name": "x", "size": "0G"}, "size=0G: expected a size such as 10G"),
        ("create-volume", {"name": "home"}, "there is a volume home already"),
        ("authorize", {"volume": "nope", "client": "web"}, "there is no volume nope; see list-volumes"),
        ("authorize", {"volume": "home", "client": "a b"}, "client=a b: expected letters"),
        ("authorize", {"volume": "home", "client": "admin"}, "auth ID: admin exists"),
        ("deauthorize", {"volume": "home", "client": "web"}, "client.web may not use home"),
        ("set-quota", {"name": "nope", "size": "1G"}, "there is no volume nope"),
        ("delete-volume", {"name": "nope", "dry_run": False}, "there is no volume nope"),
    ],
)
def test_what_cannot_be_done_is_refused(deploy, name, params, words):
    model = deploy(1)
    model.action(0, "create-volume", name="home")
    assert words in model.refuse(0, name, **params)


def test_a_key_is_taken_away_with_its_last_volume(deploy):
    model = deploy(1)
    for name in ("home", "work"):
        model.action(0, "create-volume", name=name)
        model.action(0, "authorize", volume=name, client="web", access="r")
    model.action(0, "deauthorize", volume="home", client="web")
    assert list(model.filesystem.keys) == ["web"]
    model.action(0, "delete-volume", name="work", dry_run=False)
    assert model.filesystem.keys == {}
    assert list(model.filesystem.volumes) == ["home"]


def test_deleting_a_volume_says_first_what_would_be_lost(deploy):
    model = deploy(1)
    model.action(0, "create-volume", name="home")
    model.action(0, "authorize", volume="home", client="web")
    model.filesystem.volumes["home"].used = 5
    words = model.action(0, "delete-volume", name="home")["summary"]
    assert words == "5 bytes in home, which client.web may use, would be lost; set dry-run=false to do it"
    assert list(model.filesystem.volumes) == ["home"]


def test_a_quota_is_set_and_lifted(deploy):
    model = deploy(1)
    model.action(0, "create-volume", name="home")
    model.action(0, "set-quota", name="home", size="1G")
    assert model.filesystem.volumes["home"].limit == 1 << 30
    model.action(0, "set-quota", name="home")
    assert model.filesystem.volumes["home"].limit is None


def test_actions_wait_for_a_file_system(deploy):
    assert "there is no file system yet" in deploy(1, has_ceph=False).refuse(0, "list-volumes")


def test_a_cluster_that_does_not_answer_is_told(deploy):
    model = deploy(1)
    model.filesystem.reaches = False
    assert "the Ceph cluster does not answer" in model.refuse(0, "list-volumes")


def test_the_last_server_is_paused_only_by_force(deploy):
    model = deploy(1)
    assert "no other metadata server stands by" in model.refuse(0, "pause")
    model.action(0, "pause", force=True)
    model.update_status()
    assert model.machines[0].services[UNIT] == "inactive"
    assert model.statuses[0] == ops.MaintenanceStatus("paused; start it again: juju run ceph-fs/0 resume")
    model.action(0, "resume")
    assert model.machines[0].services[UNIT] == "active"


def test_one_that_another_can_take_over_from_is_paused(deploy):
    model = deploy(2)
    assert model.action(0, "get-status")["result"] == {"machine-0": "up:active", "machine-1": "up:standby"}
    model.action(0, "pause")
    assert model.action(1, "get-status")["result"] == {"machine-1": "up:active"}


def test_a_machine_stops_only_when_another_server_stands_by(deploy, capsys):
    model = deploy(2)
    with use(model.machines[0]):
        assert check.main("safe-to-stop", "ceph-fs") == 0
        assert check.main("after-start", "ceph-fs") == 0
        model.machines[1].services["ceph-mds@machine-1.service"] = "failed"
        assert check.main("safe-to-stop", "ceph-fs") == 1
        assert "no other metadata server stands by" in capsys.readouterr().out
        model.machines[0].services[UNIT] = "failed"
        assert check.main("after-start", "ceph-fs") == 1
