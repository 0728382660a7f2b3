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


MON = 'profile rbd, allow command "osd blocklist"'
OWN = ["mon", MON, "osd", "profile rbd pool=glance", "mgr", "profile rbd pool=glance"]


def permissions(*clauses, client="glance"):
    return {
        "op": "set-key-permissions",
        "client": client,
        "permissions": ["mon", MON, "osd", ", ".join(clauses)],
    }


def cinder(*clauses):
    """The relation of a second client, which wants rights to the first one's pool."""
    text = request(
        {**POOL, "name": "cinder-volumes"},
        permissions("profile rbd pool=cinder-volumes", *clauses, client="cinder"),
    )
    return testing.Relation(
        "client", remote_app_name="cinder", remote_units_data={0: {"broker_req": text}},
        remote_app_data={"requested-secrets": '["key"]'},
    )  # fmt: skip


@pytest.mark.parametrize("operations", [(POOL,), (POOL, permissions("profile rbd pool=glance"))])
def test_a_client_has_rights_to_its_own_pools_and_to_nothing_else(three, operations):
    three.relate(glance(*operations, units=2))
    assert three.ceph.auth["client.glance"].caps == OWN


def test_a_client_may_ask_for_less(three):
    three.relate(glance(POOL, permissions("profile rbd-read-only pool=glance")))
    assert three.ceph.auth["client.glance"].caps == ["mon", MON, "osd", "profile rbd-read-only pool=glance"]


@pytest.mark.parametrize(
    "wanted",
    [
        ["mon", "allow *"], ["mon", "profile rbd", "osd", "profile rbd"], ["osd", "allow rwx pool=glance"],
        ["mds", "allow"], ["osd", "profile rbd pool=glance, allow *"], ["mon"], [],
    ],
)  # fmt: skip
def test_no_client_gets_more_than_the_rights_of_block_devices(three, wanted):
    relation = glance(POOL, {"op": "set-key-permissions", "permissions": wanted})
    three.relate(relation)
    caps = three.ceph.auth["client.glance"].caps
    assert caps in (["mon", MON], OWN)
    assert bool(response(three, relation)["exit-code"]) is bool(wanted), caps


def test_a_pool_of_another_is_used_when_the_operator_says_so(three):
    three.relate(glance(POOL))
    second = cinder("profile rbd-read-only pool=glance")
    three.relate(second)
    answer = response(three, second, unit="cinder-0")
    assert "cinder asks for the pool glance, which is glance's" in answer["stderr"]
    assert "add cinder:glance to the option shared-pools" in answer["stderr"]
    assert "glance" not in str(three.ceph.auth["client.cinder"].caps)
    three.configure(shared_pools="cinder:glance")
    assert response(three, second, unit="cinder-0")["exit-code"] == 0
    osd = "profile rbd pool=cinder-volumes, profile rbd-read-only pool=glance"
    assert three.ceph.auth["client.cinder"].caps == [
        "mon",
        MON,
        "osd",
        osd,
        "mgr",
        "profile rbd pool=cinder-volumes",
    ]
    three.configure(shared_pools="")
    assert "glance" not in str(three.ceph.auth["client.cinder"].caps)
    assert response(three, second, unit="cinder-0")["exit-code"] == 1


def test_two_applications_do_not_get_the_same_pool(three):
    three.relate(glance(POOL))
    other = dataclasses.replace(glance(POOL), id=9999, remote_app_name="images")
    three.relate(other)
    assert "which is glance's" in response(three, other, unit="images-0")["stderr"]
    three.configure(shared_pools="images:glance")
    assert response(three, other, unit="images-0")["exit-code"] == 0
    assert three.ceph.auth["client.images"].caps == OWN


def test_a_pool_that_the_operator_has_made_is_nobodys_until_he_says_whose(three):
    three.action(0, "create-pool", name="glance")
    relation = glance(POOL)
    three.relate(relation)
    assert "which is not its own" in response(three, relation)["stderr"]
    three.configure(shared_pools="glance:glance")
    assert response(three, relation)["exit-code"] == 0


def test_a_pool_that_was_deleted_may_be_anothers(three):
    relation = glance({**POOL, "name": "scratch"})
    three.relate(relation)
    three.action(0, "delete-pool", name="scratch", confirm="scratch")
    other = dataclasses.replace(glance({**POOL, "name": "scratch"}), id=9999, remote_app_name="images")
    three.relate(other)
    assert response(three, other, unit="images-0")["exit-code"] == 0


def test_pools_of_clients_from_before_that_was_recorded_stay_theirs(three):
    relation = glance(POOL)
    three.relate(relation)
    del three.app_data[f"rights-{relation.id}"]
    three.ceph.records = {key: text for key, text in three.ceph.records.items() if "pools/" not in key}
    three.leader = 1
    three.update_status()
    assert response(three, relation, number=1)["exit-code"] == 0
    assert three.ceph.auth["client.glance"].caps == OWN


def test_a_pool_takes_other_copies_and_disks_when_its_owner_asks(three):
    three.relate(glance({**POOL, "device-class": "hdd"}))
    pool = three.ceph.pools[-1]
    assert three.ceph.rules[-1].name == "replicated-host-hdd"
    relation = dataclasses.replace(
        glance(),
        remote_units_data={
            0: {"broker_req": request({**POOL, "replicas": 2, "device-class": "ssd"}, request_id="r-2")}
        },
    )
    three.relate(dataclasses.replace(relation, id=next(iter(set(three.relations) - {0}))))
    assert pool.size == 2
    assert {rule.number: rule.name for rule in three.ceph.rules}[pool.rule] == "replicated-host-ssd"


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


def renamed(*operations, **more):
    """The relation of a client that takes another user."""
    relation = glance(*operations, **more)
    return dataclasses.replace(relation, remote_app_data={"requested-secrets": '["key", "username"]'})


def test_a_new_key_is_another_users_until_nobody_uses_the_one_before(three):
    relation = renamed(POOL)
    three.relate(relation)
    old = three.ceph.auth["client.glance"].key
    three.action(0, "rotate-key", entity="client.glance")
    secret = secret_of(three, relation)
    new = three.ceph.auth["client.glance-2"]
    assert secret.latest_content == {"key": new.key, "username": "glance-2"}
    assert new.caps == three.ceph.auth["client.glance"].caps == OWN
    assert (three.ceph.auth["client.glance"].key, three.ceph.auth["client.glance"].pending) == (old, "")
    with pytest.raises(testing.ActionFailed, match="glance does not use client"):
        three.action(0, "rotate-key", entity="client.glance-2")
    three.run(0, three.on.secret_remove(secret, revision=1))
    three.update_status()
    assert "client.glance" not in three.ceph.auth
    assert three.ceph.auth["client.glance-2"].key == new.key
    three.action(0, "rotate-key", entity="client.glance-2")
    assert "client.glance-3" in three.ceph.auth


def test_all_users_of_a_client_have_its_rights_and_go_with_it(three):
    relation = renamed(POOL)
    three.relate(relation)
    three.action(0, "rotate-key", entity="client.glance")
    three.configure(shared_pools="glance:other")
    assert "pool=other" in str(three.ceph.auth["client.glance"].caps)
    assert "pool=other" in str(three.ceph.auth["client.glance-2"].caps)
    del three.relations[relation.id]
    three.update_status()
    assert not [entity for entity in three.ceph.auth if "glance" in entity]


def test_a_new_leader_hands_the_newest_key_on(three):
    relation = renamed(POOL)
    three.relate(relation)
    three.action(0, "rotate-key", entity="client.glance")
    three.leader = 1
    three.update_status()
    assert secret_of(three, relation).latest_content["username"] == "glance-2"
