"""Both sides of `haproxy-route-tcp`, and its words on the wire as the published library reads and writes them."""

import dataclasses
import json

import ops
import pytest
from ops import testing

from openinfra_charm.interfaces import haproxy_route_tcp
from openinfra_charm.interfaces.haproxy_route_tcp import Backend, Check, Health, Route

# What a requirer with the published library writes: what is not the default, each value as JSON.
PUBLISHED = {
    "port": "4000",
    "backend_port": "5000",
    "sni": '"*.example.com"',
    "hosts": '["10.0.0.9", "10.0.0.8"]',
    "check": (
        '{"interval": 60, "rise": 5, "fall": 6, "check_type": "generic", "send": "PING\\r\\n", "expect": "+PONG"}'
    ),
    "load_balancing": '{"algorithm": "source", "consistent_hashing": true}',
    "rate_limit": '{"connections_per_minute": 10, "policy": "silent-drop"}',
    "bandwidth_limit": '{"upload": 1000}',
    "retry": '{"count": 3, "redispatch": true}',
    "timeout": '{"server": 30, "connect": 5, "queue": null}',
    "server_maxconn": "100",
    "ip_deny_list": '["203.0.113.7"]',
    "tls_terminate": "false",
    "proxy_protocol": "true",
}
OURS = Route(
    port=13306,
    backend_port=3306,
    health=Health(path="/ready?as=writer", port=13307, host="s3.example.org"),
    single=True,
    order=("10.0.0.2", "10.0.0.1"),
    timeout=28800,
)
# What ours writes; all but the last key is the published requirer's.
OURS_ON_THE_WIRE = {
    "port": "13306",
    "backend_port": "3306",
    "check": '{"check_type": "generic", "fall": 3, "interval": 2, "rise": 2}',
    "timeout": '{"connect": null, "queue": null, "server": 28800}',
    "enforce_tls": "false",
    "tls_terminate": "false",
    "openinfra": (
        '{"health": {"host": "s3.example.org", "path": "/ready?as=writer", "port": 13307, "status": 200, "tls": true}, '
        '"order": ["10.0.0.2", "10.0.0.1"], "single": true}'
    ),
}
UNITS = {0: {"address": '"10.0.0.1"'}, 10: {"address": '"10.0.0.3"'}, 2: {"address": '"10.0.0.2"'}}


class Charm(ops.CharmBase):
    """As either side."""


def play(role, step, remote_app=None, remote_units=None):
    """Run `step(relation, charm)` as leader; return its value and what application and unit have published then."""
    context = testing.Context(Charm, {"name": "charm", role: {"route": {"interface": "haproxy-route-tcp"}}})
    relation = testing.Relation(
        "route",
        remote_app_name="web",
        remote_app_data=remote_app or {},
        remote_units_data=remote_units if remote_units is not None else {0: {}},
    )
    with context(context.on.update_status(), testing.State(leader=True, relations={relation})) as manager:
        value = step(manager.charm.model.get_relation("route"), manager.charm)
        left = manager.run().get_relation(relation.id)
        juju = {"egress-subnets", "ingress-address", "private-address"}
        unit = {key: text for key, text in left.local_unit_data.items() if key not in juju}
        return value, dict(left.local_app_data), unit


def read(app, units=None):
    """Return what the provider reads: the routes and the problems."""
    return play("provides", lambda one, _: haproxy_route_tcp.read_routes([one]), app, units or UNITS)[0]


def test_a_published_requirers_route_is_read():
    (asked,), problems = read(PUBLISHED)
    assert problems == []
    assert asked.route == Route(port=4000, backend_port=5000, timeout=30, proxy_protocol=True)
    assert asked.backends == tuple(Backend(name=one, address=one) for one in ("10.0.0.9", "10.0.0.8"))
    assert asked.check == Check(interval=60, rise=5, fall=6, kind="generic", send="PING\r\n", expect="+PONG")
    assert (asked.application, asked.sni) == ("web", "*.example.com")
    assert (asked.balance, asked.consistent) == ("source", True)
    assert (asked.rate, asked.rate_policy, asked.bandwidth) == (10, "silent-drop", True)
    assert (asked.retries, asked.redispatch) == (3, True)
    assert (asked.connect_timeout, asked.queue_timeout, asked.server_connections) == (5, 0, 100)
    assert (asked.deny, asked.route.proxy_protocol) == (("203.0.113.7",), True)
    assert (asked.enforce_tls, asked.terminate_tls) == (True, False)


def test_what_a_published_requirer_leaves_out_is_the_default():
    (asked,), _ = read({"port": "4000"})
    assert asked.route == Route(port=4000, backend_port=4000)
    assert (asked.enforce_tls, asked.terminate_tls, asked.route.proxy_protocol) == (True, True, False)
    assert (asked.check, asked.sni, asked.rate, asked.bandwidth, asked.deny) == (None, "", 0, False, ())


def test_backends_are_the_units_by_number():
    (asked,), _ = read({"port": "4000"})
    assert [one.name for one in asked.backends] == ["web/0", "web/2", "web/10"]


def test_ours_is_written_as_the_published_requirer_writes():
    step = lambda relation, charm: haproxy_route_tcp.request(relation, charm.app, OURS)  # noqa: E731
    assert play("requires", step)[1] == OURS_ON_THE_WIRE


def test_ours_is_read_as_it_was_asked_for_and_in_its_order():
    (asked,), problems = read(OURS_ON_THE_WIRE)
    assert problems == []
    assert asked.route == OURS
    assert asked.check is None
    assert [one.name for one in asked.backends] == ["web/2", "web/0", "web/10"]


def test_a_route_may_be_for_services_only():
    inside = dataclasses.replace(OURS, internal=True)
    told = play("requires", lambda relation, charm: haproxy_route_tcp.request(relation, charm.app, inside))[1]
    assert json.loads(told["openinfra"])["internal"] is True
    (asked,), _ = read(told)
    assert asked.route == inside


def test_a_timeout_is_taken_back():
    def ask_twice(relation, charm):
        haproxy_route_tcp.request(relation, charm.app, OURS)
        haproxy_route_tcp.request(relation, charm.app, Route(port=1, backend_port=2))

    assert "timeout" not in play("requires", ask_twice)[1]


def test_a_unit_says_its_address_as_the_published_library_does():
    _, _, unit = play(
        "requires", lambda one, charm: haproxy_route_tcp.publish_address(one, charm.unit, "fd00::5")
    )
    assert unit == {"address": '"fd00::5"'}


def test_endpoints_travel_as_the_published_library_has_them():
    def answer(relation, charm):
        haproxy_route_tcp.publish_endpoints(relation, charm.app, ["10.0.0.100:4000", "[fd00::5]:4000"])

    _, published, _ = play("provides", answer)
    assert published == {"endpoints": '["10.0.0.100:4000", "[fd00::5]:4000"]'}
    endpoints, _, _ = play("requires", lambda one, _: haproxy_route_tcp.read_endpoints(one), published)
    assert endpoints == ("10.0.0.100:4000", "[fd00::5]:4000")
    assert haproxy_route_tcp.hosts((*endpoints, "cloud.example:5000", "cloud.example:7480")) == (
        "10.0.0.100",
        "fd00::5",
        "cloud.example",
    )


@pytest.mark.parametrize("text", ["", "[]", "no JSON", '{"endpoints": 1}', "[1]"])
def test_without_endpoints_nothing_is_served(text):
    endpoints, _, _ = play(
        "requires", lambda one, _: haproxy_route_tcp.read_endpoints(one), {"endpoints": text}
    )
    assert endpoints == ()


def test_endpoints_are_taken_back():
    def answer(relation, charm):
        haproxy_route_tcp.publish_endpoints(relation, charm.app, ["10.0.0.100:4000"])
        haproxy_route_tcp.publish_endpoints(relation, charm.app, [])

    assert play("provides", answer)[1] == {}


def test_who_has_not_named_a_port_asks_for_nothing():
    assert read({"enforce_tls": "false"}) == ([], [])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"port": "0"}, "port=0 is not a whole number, 1 to 65535"),
        ({"port": "no JSON"}, "port=no JSON is not JSON"),
        ({"port_mapping": '"4000-4010:5000-5010"'}, "port_mapping, a range of ports"),
        ({"sni": '"a.example\\n  bind :1"'}, "sni='a.example"),
        ({"hosts": '["db.example"]'}, "hosts: 'db.example' is not an IP address"),
        ({"ip_deny_list": '"all"'}, "ip_deny_list='all' is not a list"),
        ({"check": '{"interval": 0, "rise": 1, "fall": 1}'}, "check.interval=0"),
        ({"check": '{"interval": 1, "rise": 1, "fall": 1, "check_type": "ping"}'}, "check.check_type='ping'"),
        (
            {"check": '{"interval": 1, "rise": 1, "fall": 1, "check_type": "mysql", "db_user": "a b"}'},
            "db_user",
        ),
        ({"load_balancing": '{"algorithm": "random"}'}, "load_balancing.algorithm='random' is none of"),
        ({"tls_terminate": '"no"'}, "tls_terminate='no' is neither true nor false"),
        ({"timeout": "[]"}, "timeout=[] is not an object"),
        ({"openinfra": json.dumps({"health": {"path": '/a" status 1'}})}, "health.path="),
    ],
)
def test_what_cannot_be_a_route_is_told_and_holds_up_no_other(changed, said):
    def read_both(relation, _):
        return haproxy_route_tcp.read_routes([relation])

    (routes, problems), _, _ = play("provides", read_both, PUBLISHED | changed, UNITS)
    assert routes == []
    assert problems[0].startswith("web asks for a route that cannot be: ")
    assert said in problems[0]


def test_a_units_address_that_is_none_is_told():
    routes, problems = read({"port": "4000"}, {3: {"address": '"nowhere"'}})
    assert routes == []
    assert "address of web/3: 'nowhere' is not an IP address" in problems[0]


# The client's address


def asks(sources, *, ready, before=""):
    """Return whether a requirer asks for it, whose gateway's units say this of themselves."""
    units = {number: {"sources": json.dumps(one)} if one else {} for number, one in enumerate(sources)}

    def step(relation, charm):
        relation.data[charm.app]["proxy_protocol"] = before
        return haproxy_route_tcp.asks_for_proxy_protocol(relation, charm.app, ready=ready)

    return play("requires", step, remote_units=units)[0]


def test_a_gateway_of_ours_is_asked_for_the_clients_address_when_all_units_take_it():
    assert asks([["10.0.0.7"]], ready=True)
    assert not asks([["10.0.0.7"]], ready=False)
    assert asks([["10.0.0.7"]], ready=False, before="true")


def test_a_published_gateway_is_not():
    assert not asks([None], ready=True)
    assert not asks([None], ready=True, before="true")


def test_the_gateways_units_say_from_where_they_connect():
    told = play(
        "provides",
        lambda relation, charm: haproxy_route_tcp.publish_sources(
            relation, charm.unit, ["10.1.0.7", "10.0.0.7", "10.0.0.7"]
        ),
    )[2]
    assert told == {"sources": '["10.0.0.7", "10.1.0.7"]'}
    units = {0: told, 1: {"sources": '["fd00::8", 5, "x y", "10.0.0.7"]'}, 2: {"sources": "{"}}
    read_back = play(
        "requires", lambda relation, _: haproxy_route_tcp.read_sources(relation), remote_units=units
    )
    assert read_back[0] == ("10.0.0.7", "10.1.0.7", "fd00::8")


def test_a_gateway_behind_a_translation_connects_from_where_juju_says():
    units = {
        0: {"sources": '["10.0.0.7"]', "egress-subnets": "203.0.113.0/29,10.0.0.7/32"},
        # By default it is the first address that Juju lists, here the one that the gateway serves at.
        1: {"sources": '["10.0.0.8"]', "egress-subnets": "10.0.0.250/32"},
        2: {"egress-subnets": "192.0.2.9/32"},
    }
    read_back = play(
        "requires",
        lambda relation, _: haproxy_route_tcp.read_sources(relation),
        remote_app={"endpoints": '["10.0.0.250:5000"]'},
        remote_units=units,
    )
    assert read_back[0] == ("10.0.0.7", "10.0.0.8", "203.0.113.0/29")
