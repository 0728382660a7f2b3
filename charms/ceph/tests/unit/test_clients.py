"""Clients of the cluster: pools and keys on request, over published and secret-aware relations."""

import dataclasses
import json

import ops
import pytest
from ops import testing

POOL = {"op": "create-pool", "name": "glance", "replicas": 3, "pg_num": None, "app-name": "rbd", "weight": 5}


def request(*operations, request_id="r-1", version=1):
    return json.dumps({"api-version": version, "ops": list(operations), "request-id": request_id})


def glance(*operations, secrets=True, units=1, user="", version=1):
    data = {"broker_req": request(*operations, version=version)} | (
        {"application-name": user} if user else {}
    )
    units_data = dict.fromkeys(range(units), data)
    app_data = {"requested-secrets": '["key"]'} if secrets else {}
    return testing.Relation(
        "client", remote_app_name="glance", remote_units_data=units_data, remote_app_data=app_data
    )


def response(model, relation, number=0, unit="glance-0"):
    return json.loads(model.local[relation.id, number][f"broker-rsp-{unit}"])


def secret_of(model, relation):
    secret_id = model.local[relation.id, "app"]["secret-key"]
    return next(secret for secret in model.secrets if secret.id == secret_id)


def test_a_client_gets_its_pool_and_its_key_in_a_secret(three):
    relation = glance(POOL)
    three.relate(relation)
    assert response(three, relation) == {"api-version": 1, "exit-code": 0, "request-id": "r-1"}
    pool = three.ceph.pools[-1]
    assert (pool.name, pool.size, pool.applications) == ("glance", 3, ["rbd"])
    secret = secret_of(three, relation)
    assert secret.tracked_content == {"key": three.ceph.auth["client.glance"].key}
    assert relation.id in secret.remote_grants
    texts = [text for data in three.local.values() for text in data.values()]
    assert not [text for text in texts if three.ceph.auth["client.glance"].key in text]


def test_every_unit_names_its_monitor(three):
    relation = glance(POOL)
    three.relate(relation)
    addresses = [three.local[relation.id, number]["ceph-public-address"] for number in range(3)]
    assert addresses == ["10.0.0.10", "10.0.0.11", "10.0.0.12"]


def test_a_client_without_secrets_waits_for_the_operator_and_the_status_says_so(three):
    relation = glance(POOL, secrets=False)
    three.relate(relation)
    assert three.statuses[0].name == "blocked"
    assert (
        "glance wants its key in plain relation data: set allow-plain-credentials=true"
        in three.statuses[0].message
    )
    assert "client.glance" not in three.ceph.auth
    three.configure(allow_plain_credentials=True)
    assert three.local[relation.id, 0]["key"] == three.ceph.auth["client.glance"].key
    assert response(three, relation)["exit-code"] == 0
    assert three.statuses[0] == ops.ActiveStatus("")


def test_each_unit_of_a_client_is_answered(three):
    relation = glance(POOL, units=2)
    three.relate(relation)
    assert response(three, relation, unit="glance-1")["exit-code"] == 0
    assert [pool.name for pool in three.ceph.pools].count("glance") == 1


def test_an_answered_request_is_not_carried_out_again(three):
    relation = glance(POOL)
    three.relate(relation)
    before = three.snapshot(), dict(three.local)
    three.ceph.commands.clear()
    three.update_status()
    assert (three.snapshot(), three.local) == before
    assert not {"auth get-or-create", "osd pool create"} & set(three.ceph.commands)


def test_a_new_request_is_carried_out(three):
    relation = glance(POOL)
    three.relate(relation)
    text = request({"op": "create-pool", "name": "second"}, request_id="r-2")
    relation = dataclasses.replace(relation, remote_units_data={0: {"broker_req": text}})
    three.relate(relation)
    assert response(three, relation)["request-id"] == "r-2"
    assert three.ceph.pools[-1].name == "second"


def test_a_new_leader_goes_on_with_the_same_key(three):
    relation = glance(POOL)
    three.relate(relation)
    key = three.ceph.auth["client.glance"].key
    three.leader = 1
    three.update_status()
    assert response(three, relation, number=1)["exit-code"] == 0
    assert three.ceph.auth["client.glance"].key == key
    assert secret_of(three, relation).tracked_content == {"key": key}


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({"op": "make-coffee"}, "unknown operation 'make-coffee'; known are create-pool"),
        ({}, "unknown operation None"),
        ({"op": "create-pool"}, "an operation lacks 'name'"),
        ({"op": "set-key-permissions", "client": "glance"}, "an operation lacks 'permissions'"),
    ],
)
def test_what_cannot_be_done_is_answered_with_the_reason(three, operation, words):
    relation = glance(operation)
    three.relate(relation)
    answer = response(three, relation)
    assert answer["exit-code"] == 1
    assert words in answer["stderr"]
    assert [pool.name for pool in three.ceph.pools] == [".mgr"]


def test_a_request_of_another_version_gets_no_answer(three):
    relation = glance(POOL, version=2)
    three.relate(relation)
    assert "broker-rsp-glance-0" not in three.local[relation.id, 0]
    assert "client.glance" not in three.ceph.auth


def test_a_client_sets_what_its_user_may_do(three):
    caps = ["mon", "profile rbd", "osd", "profile rbd pool=glance"]
    relation = glance({"op": "set-key-permissions", "client": "glance", "permissions": caps})
    three.relate(relation)
    assert three.ceph.auth["client.glance"].caps == caps


def test_permissions_outlast_the_next_request(three):
    caps = ["mon", "profile rbd", "osd", "profile rbd pool=glance"]
    relation = glance({"op": "set-key-permissions", "client": "glance", "permissions": caps}, POOL, units=2)
    three.relate(relation)
    assert [response(three, relation, unit=f"glance-{number}")["exit-code"] for number in range(2)] == [0, 0]
    assert three.ceph.auth["client.glance"].caps == caps


def test_no_client_gives_another_the_administrators_powers(three):
    caps = ["mon", "allow *"]
    relation = glance({"op": "set-key-permissions", "client": "admin", "permissions": caps})
    three.relate(relation)
    assert three.ceph.auth["client.admin"].caps != caps
    assert response(three, relation)["exit-code"] == 1


def test_no_client_becomes_the_administrator(three):
    relation = glance(POOL, user="admin")
    three.relate(relation)
    assert response(three, relation)["exit-code"] == 1
    assert "secret-key" not in three.local[relation.id, "app"]
    three.relations[relation.id] = dataclasses.replace(relation, remote_units_data={})
    three.run(0, three.on.relation_broken, relation=relation.id)
    assert "client.admin" in three.ceph.auth


@pytest.mark.parametrize("replicas", ["many", [3]])
def test_nonsense_is_answered_and_harms_nobody(three, replicas):
    relation = glance({**POOL, "replicas": replicas})
    three.relate(relation)
    assert response(three, relation)["exit-code"] == 1
    assert three.statuses[0].name == "active"


def test_a_client_that_goes_loses_its_key_and_keeps_its_data(three):
    relation = glance(POOL, user="images")
    three.relate(relation)
    assert "client.images" in three.ceph.auth
    gone = dataclasses.replace(relation, remote_units_data={})
    three.relations[relation.id] = gone
    for number in three.unit_data:
        three.run(number, three.on.relation_broken, relation=relation.id)
    assert "client.images" not in three.ceph.auth
    assert three.ceph.pools[-1].name == "glance"


def test_the_key_of_a_client_that_went_while_no_leader_saw_it_goes_later(three):
    relation = glance(POOL)
    three.relate(relation)
    del three.relations[relation.id]
    three.leader = 1
    three.update_status()
    assert "client.glance" not in three.ceph.auth
    assert f"client-{relation.id}" not in three.shared


def test_a_clients_key_is_rotated_in_its_secret(three):
    relation = glance(POOL)
    three.relate(relation)
    old = three.ceph.auth["client.glance"].key
    three.action(0, "rotate-key", entity="client.glance")
    secret = secret_of(three, relation)
    assert secret.latest_content == {"key": three.ceph.auth["client.glance"].pending}
    assert three.ceph.auth["client.glance"].key == old
