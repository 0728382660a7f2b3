"""Both sides of `memcache`, and its words on the wire as the published charms write them."""

import ops
from ops import testing

from openinfra_charm.interfaces import memcache
from openinfra_charm.interfaces.memcache import Server

# What a unit of memcached-k8s publishes, beside what Juju itself does.
ON_THE_WIRE = {
    "host": "10.0.0.5",
    "port": "11211",
    "udp-port": "0",
    "egress-subnets": "10.0.0.5/32",
    "ingress-address": "10.0.0.5",
    "private-address": "10.0.0.5",
}


class Charm(ops.CharmBase):
    """As either side."""


def play(role, units, step, local=None):
    """Run `step(relation, unit)` in a hook; return its value and what the unit has published then."""
    context = testing.Context(Charm, {"name": "charm", role: {"cache": {"interface": "memcache"}}})
    relation = testing.Relation("cache", remote_units_data=units, local_unit_data=local or {})
    with context(context.on.update_status(), testing.State(relations={relation})) as manager:
        value = step(manager.charm.model.get_relation("cache"), manager.charm.unit)
        return value, dict(manager.run().get_relation(relation.id).local_unit_data)


def test_a_unit_publishes_what_the_published_charms_do():
    server = Server(host="10.0.0.5", port=11211)
    juju = {key: value for key, value in ON_THE_WIRE.items() if key not in {"host", "port", "udp-port"}}
    _, data = play("provides", {}, lambda relation, unit: memcache.publish(relation, unit, server), juju)
    assert data == ON_THE_WIRE


def test_what_is_published_is_not_written_again():
    def publish_when_writing_fails(relation, unit):
        class Refusing(dict):
            def __setitem__(self, key, value):
                raise AssertionError(f"{key} is written again")

        relation.data._data[unit] = Refusing(ON_THE_WIRE)
        memcache.publish(relation, unit, Server(host="10.0.0.5", port=11211))
        return True

    assert play("provides", {}, publish_when_writing_fails)[0]


def test_the_ring_is_in_the_order_of_unit_numbers():
    units = {number: {**ON_THE_WIRE, "host": f"10.0.0.{number}"} for number in (10, 2, 1)}
    servers, _ = play("requires", units, lambda relation, _: memcache.read_servers(relation))
    assert [str(server) for server in servers] == ["10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.10:11211"]


def test_a_unit_that_has_not_published_is_left_out():
    units = {0: ON_THE_WIRE, 1: {}, 2: {"host": "10.0.0.7", "port": "many"}}
    servers, _ = play("requires", units, lambda relation, _: memcache.read_servers(relation))
    assert servers == (Server(host="10.0.0.5", port=11211),)


def test_tls_is_what_published_clients_pass_over():
    server = Server(host="10.0.0.5", port=11211, ca="PEM")
    _, data = play("provides", {}, lambda relation, unit: memcache.publish(relation, unit, server))
    assert data == {"host": "10.0.0.5", "port": "11211", "udp-port": "0", "tls-ca": "PEM"}
    servers, _ = play("requires", {0: data}, lambda relation, _: memcache.read_servers(relation))
    assert servers == (server,)


def test_tls_is_taken_back():
    data = {**ON_THE_WIRE, "tls-ca": "PEM"}
    server = Server(host="10.0.0.5", port=11211)
    _, data = play("provides", {}, lambda relation, unit: memcache.publish(relation, unit, server), data)
    assert data == ON_THE_WIRE


def test_ipv6_addresses_stand_in_brackets():
    assert str(Server(host="fd00::5", port=11211)) == "[fd00::5]:11211"
