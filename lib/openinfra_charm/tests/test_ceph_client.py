"""Both sides of `ceph-client`, and its words on the wire as Charmed Ceph's published charms write them."""

import json

import ops
import pytest
from ops import testing

from openinfra_charm.interfaces import ceph_client
from openinfra_charm.interfaces.ceph_client import Access, Client, Request
from openinfra_charm.model.databag import RelationError

# What a client of Charmed Ceph (charmhelpers' CephBrokerRq) writes into its unit data.
REQUEST_ON_THE_WIRE = {
    "broker_req": '{"api-version": 1, "ops": [{"op": "create-pool", "name": "glance", "replicas": 3, "pg_num": null, '
    '"weight": 5, "group": "images", "group-namespace": null, "app-name": "rbd", "max-bytes": null}], '
    '"request-id": "a3ad24dd-1e2f-11ee-8be2-00163e2d7a56"}',
    "egress-subnets": "10.0.0.5/32",
    "ingress-address": "10.0.0.5",
}
# What a unit of Charmed Ceph's ceph-mon answers with.
ANSWER_ON_THE_WIRE = {
    "auth": "cephx",
    "broker-rsp-glance-0": '{"exit-code": 0, "request-id": "a3ad24dd-1e2f-11ee-8be2-00163e2d7a56"}',
    "ceph-public-address": "10.0.0.11",
    "key": "AQBX1VpkAAAAABAAzQ8W0Lz5cK9s0b1Xk2vGqQ==",
    "rbd-features": "1",
}
REQUEST_ID = "a3ad24dd-1e2f-11ee-8be2-00163e2d7a56"
KEY = "AQBX1VpkAAAAABAAzQ8W0Lz5cK9s0b1Xk2vGqQ=="


class Provider(ops.CharmBase):
    """As the ceph charm."""


class Requirer(ops.CharmBase):
    """As the glance charm."""


def play(charm, relation, step, *, leader=True, secrets=()):
    """Run `step(charm, relation)` in a hook; return its value and the state after the hook."""
    endpoint = "client" if charm is Provider else "ceph"
    role = "provides" if charm is Provider else "requires"
    meta = {"name": charm.__name__.lower(), role: {endpoint: {"interface": "ceph-client"}}}
    app = "ceph" if charm is Provider else "glance"
    context = testing.Context(charm, meta, app_name=app)
    state = testing.State(leader=leader, relations={relation}, secrets=secrets)
    with context(context.on.update_status(), state) as manager:
        value = step(manager.charm, manager.charm.model.get_relation(endpoint))
        return value, manager.run()


def to_provider(units, **app_data):
    return testing.Relation(
        "client", remote_app_name="glance", remote_units_data=units, remote_app_data=app_data
    )


def to_requirer(units, **app_data):
    return testing.Relation("ceph", remote_app_name="ceph", remote_units_data=units, remote_app_data=app_data)


def read(units, **app_data):
    return play(
        Provider, to_provider(units, **app_data), lambda _, relation: ceph_client.read_client(relation)
    )[0]


# The provider


def test_a_published_clients_request_is_understood():
    client = read({0: REQUEST_ON_THE_WIRE})
    (request,) = client.requests
    assert (client.name, client.takes_secret) == ("glance", False)
    assert (request.unit, request.request_id) == ("glance/0", REQUEST_ID)
    assert request.operations[0]["name"] == "glance"
    assert request.operations[0]["replicas"] == 3


def test_a_client_may_name_its_user_and_take_secrets():
    client = read({1: {}, 0: {"application-name": "cinder-volume"}}, **{"requested-secrets": '["key"]'})
    assert client == Client(
        relation_id=client.relation_id, name="cinder-volume", takes_secret=True, requests=()
    )


def test_who_waits_for_an_answer_is_known_by_unit():
    """An answer that refuses the request does not end it: the operator may put that right."""

    def step(charm, relation):
        units = {unit.name: unit for unit in relation.units}
        seen = []
        for failure in (None, "no such pool"):
            request = ceph_client.parse_request("glance/0", REQUEST_ON_THE_WIRE["broker_req"])
            assert request
            asked = [ceph_client.is_asked(relation, charm.unit, units[name]) for name in sorted(units)]
            seen.append([*asked, ceph_client.is_asked(relation, charm.unit)])
            ceph_client.answer(relation, charm.unit, request, failure)
        return [*seen, ceph_client.is_asked(relation, charm.unit)]

    seen, _ = play(Provider, to_provider({0: REQUEST_ON_THE_WIRE, 1: {"broker_req": "none"}}), step)
    assert seen == [[True, False, True], [False, False, False], True]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "[]",
        "null",
        '{"api-version": 2, "request-id": "x", "ops": []}',
        '{"request-id": "x", "ops": []}',
        '{"api-version": 1, "request-id": "x", "ops": {}}',
        '{"api-version": 1, "request-id": "x"}',
        '{"api-version": 1, "request-id": "x", "ops": ["create-pool"]}',
        '{"api-version": 1, "request-id": "x", "ops": [null]}',
    ],
)
def test_a_request_of_another_version_or_form_is_passed_over(text):
    assert read({0: {"broker_req": text}, 1: REQUEST_ON_THE_WIRE}).requests[0].unit == "glance/1"
    assert read({0: {"broker_req": text}}).requests == ()


@pytest.mark.parametrize("wanted", ["", "key", '"key"', '["tls"]', '{"key": 1}'])
def test_only_a_client_that_says_so_gets_a_secret(wanted):
    assert not read({}, **{"requested-secrets": wanted}).takes_secret


def test_unknown_fields_do_no_harm():
    body = {"api-version": 1, "request-id": "x", "ops": [{"op": "new", "extra": 1}], "later": True}
    (request,) = read({0: {"broker_req": json.dumps(body), "later": "1"}}).requests
    assert request.operations == ({"op": "new", "extra": 1},)


def test_the_answer_is_what_published_clients_read():
    def answer(charm, relation):
        ceph_client.publish_monitor(relation, charm.unit, "10.0.0.11")
        ceph_client.publish_key(relation, charm.unit, KEY)
        (request,) = ceph_client.read_client(relation).requests
        before = ceph_client.is_answered(relation, charm.unit, request)
        ceph_client.answer(relation, charm.unit, request, None)
        return before, ceph_client.is_answered(relation, charm.unit, request)

    relation = to_provider({0: REQUEST_ON_THE_WIRE})
    answered, state = play(Provider, relation, answer)
    data = dict(state.get_relation(relation.id).local_unit_data)
    response = json.loads(data.pop("broker-rsp-glance-0"))
    assert answered == (False, True)
    assert (data["auth"], data["ceph-public-address"], data["key"]) == ("cephx", "10.0.0.11", KEY)
    assert response == json.loads(ANSWER_ON_THE_WIRE["broker-rsp-glance-0"]) | {"api-version": 1}


def test_a_refusal_says_why():
    request = Request(unit="glance/0", request_id="x", operations=())
    relation = to_provider({0: {}})
    _, state = play(
        Provider, relation, lambda charm, seen: ceph_client.answer(seen, charm.unit, request, "no such thing")
    )
    response = json.loads(state.get_relation(relation.id).local_unit_data["broker-rsp-glance-0"])
    assert (response["exit-code"], response["stderr"], response["request-id"]) == (1, "no such thing", "x")


def test_a_new_request_is_not_answered_by_an_old_answer():
    relation = to_provider({0: REQUEST_ON_THE_WIRE})

    def look(charm, seen):
        ceph_client.answer(seen, charm.unit, Request(unit="glance/0", request_id="old", operations=()), None)
        return ceph_client.is_answered(seen, charm.unit, ceph_client.read_client(seen).requests[0])

    assert play(Provider, relation, look)[0] is False


def test_a_monitor_that_left_is_taken_back():
    relation = to_provider({})

    def publish(charm, seen):
        ceph_client.publish_monitor(seen, charm.unit, "10.0.0.11")
        ceph_client.publish_monitor(seen, charm.unit, None)

    _, state = play(Provider, relation, publish)
    assert not {"auth", "ceph-public-address"} & set(state.get_relation(relation.id).local_unit_data)


def test_what_is_known_is_not_written_again(monkeypatch):
    relation = testing.Relation(
        "client", remote_app_name="glance", local_unit_data=ANSWER_ON_THE_WIRE, remote_units_data={0: {}}
    )
    written = []
    monkeypatch.setattr(ops.RelationDataContent, "__setitem__", lambda _, key, value: written.append(key))

    def publish(charm, seen):
        ceph_client.publish_monitor(seen, charm.unit, "10.0.0.11")
        ceph_client.publish_key(seen, charm.unit, KEY)

    play(Provider, relation, publish)
    assert written == []


# The requirer


def test_the_request_is_what_published_providers_read():
    operations = json.loads(REQUEST_ON_THE_WIRE["broker_req"])["ops"]
    relation = to_requirer({0: {}})

    def ask(charm, seen):
        ceph_client.announce_secrets(seen, charm.app, ("key", "username"))
        ceph_client.send_request(seen, charm.unit, "glance", REQUEST_ID, operations)

    _, state = play(Requirer, relation, ask)
    after = state.get_relation(relation.id)
    assert json.loads(after.local_unit_data["broker_req"]) == json.loads(REQUEST_ON_THE_WIRE["broker_req"])
    assert after.local_unit_data["application-name"] == "glance"
    assert json.loads(after.local_app_data["requested-secrets"]) == ["key", "username"]


def access(units, *, request_id=REQUEST_ID, secrets=(), **app_data):
    relation = to_requirer(units, **app_data)

    def look(charm, seen):
        return ceph_client.read_access(charm.model, seen, "glance", charm.unit, request_id)

    return play(Requirer, relation, look, secrets=secrets)[0]


def test_a_published_providers_answer_gives_access():
    second = {"ceph-public-address": "10.0.0.12"}
    assert access({0: ANSWER_ON_THE_WIRE, 1: second}) == Access(
        user="glance", key=KEY, monitors=("10.0.0.11", "10.0.0.12")
    )


@pytest.mark.parametrize("missing", ["broker-rsp-glance-0", "key", "ceph-public-address"])
def test_access_waits_for_all_of_the_answer(missing):
    assert access({0: {key: value for key, value in ANSWER_ON_THE_WIRE.items() if key != missing}}) is None


def test_the_answer_to_an_earlier_request_is_not_taken():
    assert access({0: ANSWER_ON_THE_WIRE}, request_id="another") is None


def test_the_key_comes_from_the_secret():
    secret = testing.Secret({"key": "from-the-secret"})
    data = {key: value for key, value in ANSWER_ON_THE_WIRE.items() if key != "key"}
    found = access({0: data}, secrets={secret}, **{"secret-key": secret.id})
    assert found == Access(user="glance", key="from-the-secret", monitors=("10.0.0.11",))


def test_a_refusal_is_an_error_with_the_providers_words():
    refusal = {"broker-rsp-glance-0": json.dumps({"exit-code": 1, "stderr": "no", "request-id": REQUEST_ID})}
    with pytest.raises(RelationError, match=r"^ceph refuses: no$"):
        access({0: refusal})
    refusal = {"broker-rsp-glance-0": json.dumps({"exit-code": 22, "request-id": REQUEST_ID})}
    with pytest.raises(RelationError, match="refuses: exit code 22"):
        access({0: refusal})
