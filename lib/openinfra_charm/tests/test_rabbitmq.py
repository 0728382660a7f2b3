"""Both sides of `rabbitmq`, and its words on the wire as the charms on Charmhub write them."""

import base64
from typing import Any

import ops
import pytest
from ops import testing

from openinfra_charm.interfaces import rabbitmq
from openinfra_charm.interfaces.rabbitmq import Access, Request
from openinfra_charm.model.databag import RelationError

CA = "-----BEGIN CERTIFICATE-----\nroot\n-----END CERTIFICATE-----\n"
ENCODED = base64.b64encode(CA.encode()).decode()
# What a machine charm with charmhelpers writes into each unit's data, and rabbitmq-server into each of its own.
ASKED_BY_A_UNIT = {"username": "nova", "vhost": "openstack"}
ANSWERED_BY_A_UNIT = {"hostname": "10.1.0.5", "password": "plain", "ssl_port": "5671", "ssl_ca": ENCODED}
# What Sunbeam's requirers (sunbeam_rabbitmq's RabbitMQRequires) write into the application's data.
ASKED_BY_AN_APPLICATION = {"username": "nova", "vhost": "openstack", "external_connectivity": "false"}
SECRET = testing.Secret({"username": "relation-7-1", "password": "secret"}, id="secret:m00000000000000000m0")


class Provider(ops.CharmBase):
    """As the rabbitmq charm."""


class Requirer(ops.CharmBase):
    """As the nova charm."""


def play(charm, relation, step, *, leader=True, secrets=()):
    """Run `step(charm, relation)` in a hook; return its value and the relation after the hook."""
    role = "provides" if charm is Provider else "requires"
    meta = {"name": charm.__name__.lower(), role: {"amqp": {"interface": "rabbitmq"}}}
    context = testing.Context(charm, meta, app_name="rabbitmq" if charm is Provider else "nova")
    state = testing.State(leader=leader, relations={relation}, secrets=secrets)
    with context(context.on.update_status(), state) as manager:
        value = step(manager.charm, manager.charm.model.get_relation("amqp"))
        return value, manager.run().get_relation(relation.id)


def asks(app=None, units=None):
    return testing.Relation(
        "amqp", id=7, remote_app_name="nova", remote_app_data=app or {}, remote_units_data=units or {0: {}}
    )


def answers(app=None, units=None):
    return testing.Relation(
        "amqp",
        id=7,
        remote_app_name="rabbitmq",
        remote_app_data=app or {},
        remote_units_data=units or {0: {}},
    )


def read_request(relation) -> Any:
    return play(Provider, relation, lambda _, seen: rabbitmq.read_request(seen))[0]


def read_access(relation, *, refresh=True) -> Any:
    def step(charm, seen):
        return rabbitmq.read_access(charm.model, seen, username="nova", vhost="nova", refresh=refresh)

    return play(Requirer, relation, step, secrets={SECRET})[0]


# The provider


def test_a_machine_charms_units_ask():
    assert read_request(asks(units={0: {}, 1: ASKED_BY_A_UNIT})) == Request(
        relation_id=7,
        application="nova",
        username="nova",
        vhost="openstack",
        takes_secret=False,
        by_units=True,
    )


def test_an_application_asks():
    assert read_request(asks(app=ASKED_BY_AN_APPLICATION)) == Request(
        relation_id=7, application="nova", username="nova", vhost="openstack", takes_secret=False
    )


@pytest.mark.parametrize(
    "said", [{}, {"username": "nova"}, {"vhost": "openstack"}, {"username": "", "vhost": ""}]
)
def test_half_a_request_is_none(said):
    assert read_request(asks(app=said, units={0: said})) is None


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        ('["username", "password"]', True), ('["password"]', False), ("password", False), ("[1, 2]", False),
        ('{"username": 1, "password": 2}', False),
    ],
)  # fmt: skip
def test_only_a_requirer_that_says_so_gets_a_secret(wanted, takes):
    request = read_request(asks(app={**ASKED_BY_AN_APPLICATION, "requested-secrets": wanted}))
    assert request.takes_secret is takes


def test_the_answer_is_what_published_requirers_read():
    def step(charm, seen):
        rabbitmq.publish_unit(seen, charm.unit, "10.1.0.5", CA)
        rabbitmq.publish_plain(seen, charm.app, {"username": "nova", "password": "plain"})
        rabbitmq.publish_password(seen, charm.unit, "plain")
        rabbitmq.publish_place(seen, charm.app, "10.1.0.5", CA)
        return rabbitmq.read_plain(seen, charm.app)

    held, after = play(Provider, asks(units={0: ASKED_BY_A_UNIT}), step)
    assert held == {"username": "nova", "password": "plain"}
    told = {key: value for key, value in after.local_unit_data.items() if key in ANSWERED_BY_A_UNIT}
    assert told == ANSWERED_BY_A_UNIT
    assert after.local_app_data == {**ANSWERED_BY_A_UNIT, "username": "nova"}


def test_a_unit_that_does_not_serve_takes_its_place_back():
    def step(charm, seen):
        rabbitmq.publish_unit(seen, charm.unit, "10.1.0.5", CA)
        rabbitmq.publish_unit(seen, charm.unit, "", CA)

    _, after = play(Provider, asks(), step)
    assert not {"hostname", "ssl_port", "ssl_ca"} & after.local_unit_data.keys()


# The requirer


def test_what_is_asked_for_is_read_by_our_provider():
    def step(charm, seen):
        rabbitmq.send_request(seen, charm.app, username="nova", vhost="nova")

    _, after = play(Requirer, answers(), step)
    request = read_request(asks(app=after.local_app_data))
    assert (request.username, request.vhost, request.takes_secret, request.by_units) == (
        "nova",
        "nova",
        True,
        False,
    )


def test_a_secret_and_all_units_that_serve_are_the_access():
    place = {"ssl_port": "5671", "ssl_ca": ENCODED}
    units = {10: {"hostname": "fd00::a", **place}, 2: {"hostname": "10.1.0.5", **place}, 3: {}}
    found = read_access(answers({"secret-user": SECRET.id}, units))
    assert found == Access(
        hosts=("10.1.0.5", "fd00::a"),
        port=5671,
        vhost="nova",
        username="relation-7-1",
        password="secret",
        ca=CA,
    )
    assert found.endpoints == ("10.1.0.5:5671", "[fd00::a]:5671")


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(answers(units={0: ANSWERED_BY_A_UNIT}), id="by units"),
        pytest.param(answers(app=ANSWERED_BY_A_UNIT), id="by the application"),
    ],
)
def test_a_published_provider_is_understood(told):
    assert read_access(told) == Access(
        hosts=("10.1.0.5",), port=5671, vhost="nova", username="nova", password="plain", ca=CA
    )


@pytest.mark.parametrize(
    ("app", "unit"),
    [
        pytest.param({}, {}, id="nothing yet"),
        pytest.param({"secret-user": SECRET.id}, {}, id="no unit serves"),
        pytest.param({}, {"hostname": "10.1.0.5", "ssl_port": "5671", "ssl_ca": ENCODED}, id="no user yet"),
        pytest.param({}, {"hostname": "10.1.0.5", "password": "plain"}, id="no TLS"),
        pytest.param(
            {"secret-user": "secret:x00000000000000000x0"}, ANSWERED_BY_A_UNIT, id="not granted yet"
        ),
    ],
)
def test_what_is_not_complete_is_waited_for(app, unit):
    assert read_access(answers(app, {0: unit})) is None


@pytest.mark.parametrize(
    "said", [{**ANSWERED_BY_A_UNIT, "hostname": "a b"}, {**ANSWERED_BY_A_UNIT, "password": "a\nssl=false"}]
)
def test_what_would_be_another_line_of_a_file_is_refused(said):
    with pytest.raises(RelationError) as refused:
        read_access(answers(units={0: said}))
    assert "rabbitmq says" in str(refused.value)
    assert "ssl=false" not in str(refused.value)
