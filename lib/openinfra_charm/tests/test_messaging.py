"""A message broker as OpenStack's services use it: what is asked for, and what their libraries read."""

import configparser
from typing import Any

import ops
import pytest
from ops import testing

from openinfra_charm.interfaces.rabbitmq import Access
from openinfra_charm.openstack import oslo
from openinfra_charm.openstack.needs import MESSAGING, Messaging, Requirer
from openinfra_charm.openstack.spec import Ports, Spec
from openinfra_charm.openstack.workload import Workload

ACCESS = Access(
    hosts=("10.0.0.5", "fd00::6"),
    port=5671,
    vhost="no/va",
    username="relation-7-1",
    password="p@ss%:$",
    ca="CA\n",
)
SECRET = testing.Secret(
    {"username": "relation-7-1", "password": "old"},
    latest_content={"username": "relation-7-2", "password": "new"},
    id="secret:m00000000000000000m0",
)


class Trust:
    """Where CA certificates are kept."""

    site = "/etc/nova/tls/ca.pem"
    certificate, key = "/etc/nova/tls/chain.pem", "/etc/nova/tls/key.pem"

    def keep(self, whom, cas):
        return f"/etc/nova/{whom}-ca.pem" if list(cas) == ["CA\n"] else ""


class Requiring(ops.CharmBase):
    """As the nova charm."""


def play(need, step, told=None, secrets=()):
    """Run `step(need, relation, requirer)` in a hook of nova's leader; return its value and the state after the hook."""
    meta = {"name": "nova", "requires": {"amqp": {"interface": "rabbitmq"}}}
    context = testing.Context(Requiring, meta, app_name="nova")
    units = {0: {"hostname": "10.0.0.5", "ssl_port": "5671", "ssl_ca": "Q0EK"}} if told else {0: {}}
    relation = testing.Relation(
        "amqp", remote_app_name="rabbitmq", remote_app_data=told or {}, remote_units_data=units
    )
    state = testing.State(leader=True, relations={relation}, secrets=secrets)
    with context(context.on.update_status(), state) as manager:
        model = manager.charm.model
        requirer = Requirer(model=model, application=model.app, region="RegionOne")
        value = step(need, model.get_relation("amqp"), requirer)
        return value, manager.run()


def test_the_url_names_all_brokers_and_a_password_comes_through_as_it_is():
    config = configparser.RawConfigParser(default_section="")
    config.read_string(oslo.sections(MESSAGING.sections(ACCESS, Trust())))
    assert config["DEFAULT"]["transport_url"] == (
        "rabbit://relation-7-1:p%40ss%25%3A%24@10.0.0.5:5671,relation-7-1:p%40ss%25%3A%24@[fd00::6]:5671/no%2Fva"
    )
    section = config["oslo_messaging_rabbit"]
    assert section["ssl"] == "true"
    assert section["ssl_ca_file"] == "/etc/nova/messaging-ca.pem"


def test_all_queues_outlast_a_broker():
    section = MESSAGING.sections(ACCESS, Trust())["oslo_messaging_rabbit"]
    assert section["rabbit_quorum_queue"] is section["rabbit_transient_quorum_queue"] is True
    assert section["use_queue_manager"] is True
    # A stream's copies do not come back by themselves, and classic queues have none.
    assert not {"rabbit_stream_fanout", "amqp_durable_queues", "rabbit_ha_queues"} & section.keys()


def test_a_broker_whose_machine_was_cut_off_is_left_within_15_seconds():
    section: Any = MESSAGING.sections(ACCESS, Trust())["oslo_messaging_rabbit"]
    # A client looks `rate` times in the time after which nothing heard counts as an end.
    assert section["heartbeat_timeout_threshold"] * (1 + 1 / section["heartbeat_rate"]) < 15


def test_without_a_broker_there_is_nothing():
    assert MESSAGING.sections(None, Trust()) == {}


@pytest.mark.parametrize(
    ("need", "vhost"),
    [(MESSAGING, "nova"), (Messaging(vhost="other"), "other")],
)
def test_a_virtual_host_is_asked_for(need, vhost):
    _, after = play(need, lambda need, relation, requirer: need.ask(relation, requirer))
    (relation,) = after.relations
    asked = relation.local_app_data
    assert (asked["username"], asked["vhost"]) == ("nova", vhost)
    assert asked["requested-secrets"] == '["username", "password"]'


def test_new_credentials_are_only_looked_at_until_they_are_used():
    def step(need, relation, requirer):
        looked = need.read(relation, requirer)
        need.use(relation, requirer)
        return looked

    looked, after = play(MESSAGING, step, {"secret-user": SECRET.id}, {SECRET})
    assert (looked.username, looked.password, looked.vhost) == ("relation-7-2", "new", "nova")
    assert after.get_secret(id=SECRET.id).tracked_content == SECRET.latest_content
    _, before = play(MESSAGING, lambda n, r, q: n.read(r, q), {"secret-user": SECRET.id}, {SECRET})
    assert before.get_secret(id=SECRET.id).tracked_content == SECRET.tracked_content


def test_what_is_not_granted_yet_is_waited_for():
    found, _ = play(MESSAGING, lambda n, r, q: n.read(r, q), {"secret-user": "secret:x00000000000000000x0"})
    assert found is None


@pytest.mark.parametrize("needs", [(MESSAGING,), ()])
def test_the_apis_queues_of_answers_are_its_own(machine, tmp_path, needs):
    spec = Spec(
        name="nova",
        ports=Ports(public=1, backend=2, proxied=3),
        wsgi="nova:app",
        templates=("nova.conf.j2",),
        needs=needs,
        source=tmp_path,
    )
    workload = Workload(machine, "nova", spec)
    workload.api.render(workers=1)
    unit = machine.read("/etc/systemd/system/nova-api.service")
    assert ("Environment=OS_OSLO_MESSAGING_RABBIT__PROCESSNAME=nova-api\n" in unit) is bool(needs)
