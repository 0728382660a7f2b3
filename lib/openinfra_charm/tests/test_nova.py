"""Both sides of `nova`, and its words on the wire."""

import ops
import pytest
from ops import testing

from openinfra_charm.interfaces import nova
from openinfra_charm.interfaces.nova import Access, Host
from openinfra_charm.model import databag, secrets

JUJU = {"egress-subnets", "ingress-address", "private-address"}
SECRET = testing.Secret({"secret": "0123456789abcdef"}, id="secret:n00000000000000000n0")
TOLD = {
    "metadata-url": "https://10.1.0.100:8775",
    "metadata-secret": SECRET.id,
    "console-url": "https://cloud.example:6080/vnc_lite.html",
    "region": "RegionOne",
}


class Charm(ops.CharmBase):
    """As either side."""


def play(role, step, *relations, known=(SECRET,)):
    """Run `step(charm, relations)` as the leader; return its value and the state after the hook."""
    context = testing.Context(Charm, {"name": "charm", role: {"nova-service": {"interface": "nova"}}})
    state = testing.State(leader=True, relations=set(relations), secrets=set(known))
    with context(context.on.update_status(), state) as manager:
        value = step(manager.charm, manager.charm.model.relations["nova-service"])
        return value, manager.run()


def read(**changes):
    relation = testing.Relation("nova-service", remote_app_data={**TOLD, **changes})
    return play("requires", lambda charm, found: nova.read_access(charm.model, found[0]), relation)[0]


def hosts(*units):
    relations = [
        testing.Relation("nova-service", id=7 + n, remote_units_data=one) for n, one in enumerate(units)
    ]
    return play("provides", lambda _, found: nova.read_hosts(found), *relations)[0]


def publish(charm, relations):
    own = secrets.Own(charm.model, charm.app, "metadata")
    own.put({"secret": "0123456789abcdef"})
    for relation in relations:
        nova.publish(
            relation,
            charm.app,
            metadata_url="https://10.1.0.100:8775",
            console_url="https://cloud.example:6080/vnc_lite.html",
            region="RegionOne",
            secret=own,
        )


def test_all_relations_are_told_one_secret_which_each_may_read():
    first, second = (testing.Relation("nova-service", id=number) for number in (7, 8))
    _, after = play("provides", publish, first, second, known=())
    (secret,) = after.secrets
    assert set(secret.remote_grants) == {7, 8}
    for number in (7, 8):
        assert after.get_relation(number).local_app_data == {**TOLD, "metadata-secret": secret.id}


def test_a_secret_that_is_granted_is_not_granted_again(monkeypatch):
    relation = testing.Relation("nova-service", local_app_data=TOLD)
    granted = []
    monkeypatch.setattr(ops.Secret, "grant", lambda *arguments, **_: granted.append(arguments))
    play("provides", publish, relation, known=())
    assert granted == []


def test_a_requirer_reads_what_it_was_told():
    assert read() == Access(
        metadata_url="https://10.1.0.100:8775",
        secret="0123456789abcdef",
        console_url="https://cloud.example:6080/vnc_lite.html",
        region="RegionOne",
    )


@pytest.mark.parametrize("key", TOLD)
def test_what_is_not_told_yet_is_waited_for(key):
    assert read(**{key: ""}) is None


@pytest.mark.parametrize(
    ("key", "text"), [("metadata-url", "file:///etc"), ("console-url", "https://a b"), ("region", "a\n[b]")]
)
def test_what_cannot_be_in_a_configuration_is_refused_by_name(key, text):
    with pytest.raises(databag.RelationError, match=key):
        read(**{key: text})


def test_a_secret_that_is_none_is_refused_and_not_shown():
    weak = testing.Secret({"secret": "short"}, id=SECRET.id)
    relation = testing.Relation("nova-service", remote_app_data=TOLD)
    with pytest.raises(databag.RelationError) as error:
        play(
            "requires", lambda charm, found: nova.read_access(charm.model, found[0]), relation, known=(weak,)
        )
    assert "secret=..." in str(error.value)
    assert "short" not in str(error.value)


def test_a_host_is_named_and_taken_back():
    def name(charm, relations):
        nova.publish_host(relations[0], charm.unit, Host(hostname="node-1", zone="zone1", ready=True))

    relation = testing.Relation("nova-service")
    data = play("requires", name, relation)[1].get_relation(relation.id).local_unit_data
    assert {key: text for key, text in data.items() if key not in JUJU} == {
        "hostname": "node-1",
        "availability-zone": "zone1",
        "ready": "true",
    }

    def stop(charm, relations):
        nova.publish_host(relations[0], charm.unit, Host(hostname="node-1"))

    after = play("requires", stop, testing.Relation("nova-service", id=7, local_unit_data=data))[1]
    assert {k: t for k, t in after.get_relation(7).local_unit_data.items() if k not in JUJU} == {
        "hostname": "node-1"
    }


def test_hosts_are_those_that_units_have_named():
    found, problems = hosts(
        {
            10: {"hostname": "node-10", "ready": "true"},
            2: {"hostname": "node-2", "availability-zone": "zone 1"},
            3: {},
        }
    )
    assert [(host.hostname, host.zone, host.ready) for host in found] == [
        ("node-2", "zone 1", False),
        ("node-10", "", True),
    ]
    assert problems == []


def test_what_one_relation_says_wrong_is_told_and_the_others_go_on():
    found, problems = hosts({0: {"hostname": "no de", "ready": "true"}}, {0: {"hostname": "node-1"}})
    assert [host.hostname for host in found] == ["node-1"]
    assert "hostname='no de'" in problems[0]
