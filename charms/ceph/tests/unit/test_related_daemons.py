"""Daemons of other applications: a key for each, file systems, and what becomes of the keys of those that go."""

import dataclasses
import json
from functools import partial

import ops
import pytest
from ops import testing

DATA = {"op": "create-pool", "name": "files.data", "app-name": "cephfs"}
METADATA = {"op": "create-pool", "name": "files.meta", "app-name": "cephfs"}
FILES = {
    "op": "create-cephfs", "mds_name": "files", "metadata_pool": "files.meta", "data_pool": "files.data",
    "max_mds": 1, "standby_replay": False,
}  # fmt: skip


def request(*operations, request_id="r-1"):
    return json.dumps({"api-version": 1, "ops": list(operations), "request-id": request_id})


def gateways(*hosts, secrets=True, operations=()):
    units = {
        number: {"key_name": f"rgw.{host}", "broker_req": request(*operations)}
        for number, host in enumerate(hosts)
    }
    return testing.Relation(
        "radosgw",
        remote_app_name="ceph-rgw",
        remote_units_data=units,
        remote_app_data={"requested-secrets": '["key"]'} if secrets else {},
    )


def servers(*operations, name="host-a", request_id="r-1"):
    return testing.Relation(
        "mds",
        remote_app_name="ceph-fs",
        remote_units_data={0: {"mds-name": name, "broker_req": request(*operations, request_id=request_id)}},
        remote_app_data={"requested-secrets": '["key"]'},
    )


def answer(model, relation, unit="ceph-rgw-0"):
    return json.loads(model.local[relation.id, 0][f"broker-rsp-{unit}"])


def secret_of(model, relation, unit="ceph-rgw-0"):
    secret_id = model.local[relation.id, "app"][f"secret-key-{unit}"]
    return next(secret for secret in model.secrets if secret.id == secret_id)


def leave(model, relation, *numbers):
    """Have units of a relation go."""
    left = {number: data for number, data in relation.remote_units_data.items() if number not in numbers}
    model.relations[relation.id] = dataclasses.replace(relation, remote_units_data=left)
    for number in numbers:
        model.every(partial(model.on.relation_departed, remote_unit=number), relation=relation.id)


def test_each_gateway_gets_a_key_of_its_own_in_a_secret_that_only_its_unit_may_read(three):
    relation = gateways("host-a", "host-b")
    three.relate(relation)
    for number, host in enumerate(("host-a", "host-b")):
        assert answer(three, relation, f"ceph-rgw-{number}")["exit-code"] == 0
        secret = secret_of(three, relation, f"ceph-rgw-{number}")
        assert secret.tracked_content == {"key": three.ceph.auth[f"client.rgw.{host}"].key}
        assert secret.remote_grants == {relation.id: {f"ceph-rgw/{number}"}}
    texts = [text for data in three.local.values() for text in data.values()]
    assert not [text for text in texts if three.ceph.auth["client.rgw.host-a"].key in text]


def test_every_unit_says_which_cluster_it_is_and_where_its_monitor_is(three):
    relation = gateways("host-a")
    three.relate(relation)
    told = [three.local[relation.id, number] for number in range(3)]
    assert [data["ceph-public-address"] for data in told] == ["10.0.0.10", "10.0.0.11", "10.0.0.12"]
    assert {data["fsid"] for data in told} == {three.ceph.fsid}


def test_a_gateway_without_secrets_waits_for_the_operator(three):
    relation = gateways("host-a", secrets=False)
    three.relate(relation)
    assert three.statuses[0].name == "blocked"
    assert "ceph-rgw wants its key in plain relation data" in three.statuses[0].message
    assert "client.rgw.host-a" not in three.ceph.auth
    three.configure(allow_plain_credentials=True)
    key = three.ceph.auth["client.rgw.host-a"].key
    assert three.local[relation.id, 0]["rgw.host-a_key"] == key
    assert three.statuses[0] == ops.ActiveStatus("")


def test_an_answered_request_is_not_carried_out_again(three):
    relation = gateways("host-a")
    three.relate(relation)
    before = three.snapshot(), dict(three.local)
    three.ceph.commands.clear()
    three.update_status()
    assert (three.snapshot(), three.local) == before
    assert not {"auth get", "auth get-or-create", "auth rm"} & set(three.ceph.commands)


def test_a_unit_that_goes_loses_its_key_and_the_others_keep_theirs(three):
    relation = gateways("host-a", "host-b")
    three.relate(relation)
    leave(three, relation, 1)
    assert "client.rgw.host-b" not in three.ceph.auth
    assert "client.rgw.host-a" in three.ceph.auth
    assert "secret-key-ceph-rgw-1" not in three.local[relation.id, "app"]
    assert [secret for secret in three.secrets if secret.label == f"daemon-{relation.id}-ceph-rgw/1"] == []


def test_a_new_leader_that_has_not_met_a_unit_yet_leaves_its_key(three):
    relation = gateways("host-a", "host-b")
    three.relate(relation)
    met = dataclasses.replace(relation, remote_units_data={0: relation.remote_units_data[0]})
    goal = three._goal_state()
    three._goal_state = lambda: goal
    three.leader = 1
    three.relate(met)
    assert "client.rgw.host-b" in three.ceph.auth


def test_a_successor_on_the_same_host_gets_the_key_anew(three):
    relation = gateways("host-a")
    three.relate(relation)
    old = three.ceph.auth["client.rgw.host-a"].key
    successor = dataclasses.replace(relation, remote_units_data={7: relation.remote_units_data[0]})
    three.relate(successor)
    assert answer(three, relation, "ceph-rgw-7")["exit-code"] == 0
    assert three.ceph.auth["client.rgw.host-a"].key != old


def test_when_the_relation_goes_all_keys_go(three):
    relation = gateways("host-a", "host-b")
    three.relate(relation)
    three.relations[relation.id] = dataclasses.replace(relation, remote_units_data={})
    three.run(0, three.on.relation_broken, relation=relation.id)
    assert not [entity for entity in three.ceph.auth if entity.startswith("client.rgw.")]


@pytest.mark.parametrize("name", ["admin", "rgw.", "glance", "rgw.a b"])
def test_no_gateway_becomes_somebody_else(three, name):
    relation = gateways("host-a")
    units = {0: {**relation.remote_units_data[0], "key_name": name}}
    relation = dataclasses.replace(relation, remote_units_data=units)
    three.relate(relation)
    assert answer(three, relation)["exit-code"] == 1
    assert f"key_name={name}: expected" in answer(three, relation)["stderr"]
    assert not [secret for secret in three.secrets if secret.label and secret.label.startswith("daemon-")]


def test_no_gateway_has_another_ones_key(three):
    first, second = gateways("host-a"), gateways("host-a")
    three.relate(first)
    three.relate(second)
    assert answer(three, second) == {
        "api-version": 1, "exit-code": 1, "request-id": "r-1", "stderr": "key_name=rgw.host-a: another unit's daemon",
    }  # fmt: skip


def test_no_client_takes_a_gateways_name(three):
    relation = testing.Relation(
        "client",
        remote_app_name="glance",
        remote_units_data={0: {"application-name": "rgw.host-a", "broker_req": request()}},
        remote_app_data={"requested-secrets": '["key"]'},
    )
    three.relate(relation)
    assert answer(three, relation, "glance-0")["exit-code"] == 1


def test_a_file_system_is_made_with_its_pools(three):
    relation = servers(METADATA, DATA, FILES)
    three.relate(relation)
    assert answer(three, relation, "ceph-fs-0")["exit-code"] == 0
    (known,) = three.ceph.filesystems
    assert (known.name, known.metadata, known.data, known.active) == ("files", "files.meta", "files.data", 1)
    caps = three.ceph.auth["mds.host-a"].caps
    assert caps[caps.index("mds") + 1] == "allow"


def test_what_a_file_system_does_with_its_servers_can_change(three):
    three.relate(relation := servers(METADATA, DATA, FILES))
    changed = {**FILES, "max_mds": 2, "standby_replay": True}
    data = servers(METADATA, DATA, changed, request_id="r-2").remote_units_data
    three.relate(dataclasses.replace(relation, remote_units_data=data))
    (known,) = three.ceph.filesystems
    assert (known.active, known.standby_replay) == (2, True)
    assert answer(three, relation, "ceph-fs-0") == {"api-version": 1, "exit-code": 0, "request-id": "r-2"}


def test_a_file_system_whose_servers_are_gone_is_no_error_and_is_served_again_later(three):
    three.relate(relation := servers(METADATA, DATA, FILES))
    three.relate(other := servers(METADATA, DATA, FILES, name="host-b"))
    three.unrelate(relation.id)
    assert three.ceph.filesystems[0].active == 1
    three.unrelate(other.id)
    assert three.ceph.filesystems[0].active == 0
    three.relate(servers(METADATA, DATA, FILES))
    assert three.ceph.filesystems[0].active == 1


def test_no_file_system_takes_the_name_of_another(three):
    three.relate(servers(METADATA, DATA, FILES))
    others = {**FILES, "metadata_pool": "other.meta", "data_pool": "other.data"}
    three.relate(relation := servers(others, name="host-b"))
    assert (
        "another file system, on files.meta; name another" in answer(three, relation, "ceph-fs-0")["stderr"]
    )
    assert "mds.host-b" not in three.ceph.auth


def test_a_file_system_without_its_pools_is_refused(three):
    three.relate(relation := servers(FILES))
    assert "unrecognized pool 'files.meta'" in answer(three, relation, "ceph-fs-0")["stderr"]
    assert three.ceph.filesystems == []


def test_daemons_wait_for_the_first_disks(deploy):
    model = deploy(1, osd_pool_default_size=2, osd_pool_default_min_size=2)
    model.relate(relation := gateways("host-a"))
    assert "broker-rsp-ceph-rgw-0" not in model.local[relation.id, 0]
    model.add_osd(0)
    assert "broker-rsp-ceph-rgw-0" not in model.local[relation.id, 0]
    model.add_osd(0, "sdc")
    assert answer(model, relation)["exit-code"] == 0
    assert "client.rgw.host-a" in model.ceph.auth


def test_the_leader_hears_of_disks_on_other_machines(deploy):
    model = deploy(2, osd_pool_default_size=1, osd_pool_default_min_size=1)
    model.relate(relation := gateways("host-a"))
    model.add_osd(1)
    assert answer(model, relation)["exit-code"] == 0


def test_what_was_refused_is_tried_again(three):
    three.relate(servers(METADATA, DATA, FILES))
    three.ceph.filesystems[0].metadata = "other.meta"
    three.relate(relation := servers(FILES, name="host-b"))
    assert answer(three, relation, "ceph-fs-0")["exit-code"] == 1
    three.ceph.filesystems[0].metadata = "files.meta"
    three.update_status()
    assert answer(three, relation, "ceph-fs-0")["exit-code"] == 0
