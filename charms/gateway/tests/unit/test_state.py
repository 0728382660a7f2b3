"""What the model says, and every refusal, which names the option, the value and what is expected."""

import pytest

import state as states
from openinfra_charm.interfaces.haproxy_route_tcp import Asked, Route
from openinfra_charm.model.addresses import Place
from openinfra_charm.model.status import ConfigError
from state import Config, Drain, Networks


def asked(relation_id, application, port=5000, **more):
    route = Route(port=port, backend_port=15000)
    more = {"terminate_tls": False, **more}
    return Asked(relation_id=relation_id, application=application, route=route, backends=(), **more)


def test_defaults_are_valid(defaults):
    config = Config.parse(defaults)
    assert (config.vips, config.public_hostname, config.virtual_router_id) == ((), "", 51)
    assert (config.connection_limit, config.session_timeout) == (8000, 3600)


def test_virtual_addresses_have_the_prefix_that_is_given_or_that_of_one_address(defaults):
    config = Config.parse({**defaults, "vip": "10.0.0.100, 10.0.0.101/24,fd00::1"})
    assert [str(vip) for vip in config.vips] == ["10.0.0.100/32", "10.0.0.101/24", "fd00::1/128"]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("vip", "10.0.0.300", "addresses, separated by commas, such as 10.0.0.100"),
        ("public-hostname", "https://cloud", "a host name, such as cloud.example.com"),
        ("virtual-router-id", 0, "a whole number, 1 to 255"),
        ("virtual-router-id", 256, "a whole number, 1 to 255"),
        ("connection-limit", 99, "a whole number, 100 to 1000000"),
        ("session-timeout", 9, "a whole number, at least 10"),
    ],
)
def test_what_cannot_be_used_is_named(defaults, option, value, expected):
    with pytest.raises(ConfigError) as error:
        Config.parse({**defaults, option: value})
    assert str(error.value) == f"config {option}={value!r} cannot be used: expected {expected}"


NETWORKS = Networks(
    public=Place(
        interface="eth0", address="10.0.0.10", subnets=("10.0.0.0/24", "fd00::/64"), ingress="10.0.0.10"
    ),
    internal=Place(interface="eth1", address="10.1.0.10", subnets=("10.1.0.0/24",), ingress="10.1.0.10"),
)


def test_a_virtual_address_is_in_a_network_of_the_bindings(defaults):
    NETWORKS.check(Config.parse({**defaults, "vip": "10.0.0.100,fd00::5,10.1.0.100"}))
    there = "10.0.0.0/24, fd00::/64, 10.1.0.0/24"
    with pytest.raises(
        ConfigError, match=rf"vip='10.77.0.250/32' .* public and internal .{there}. that nobody else"
    ):
        NETWORKS.check(Config.parse({**defaults, "vip": "10.77.0.250"}))
    with pytest.raises(ConfigError, match="an address of no machine"):
        NETWORKS.check(Config.parse({**defaults, "vip": "10.1.0.10"}))


def planes(config, addresses=(), internal=()):
    route = asked(1, "a")
    return (
        states.endpoints(route, config, NETWORKS.outer(config), addresses),
        states.inner_endpoints(route, config, NETWORKS, public=addresses, internal=internal),
    )


def test_clients_and_services_have_an_address_each(defaults):
    config = Config.parse({**defaults, "vip": "10.0.0.100,10.1.0.100"})
    assert planes(config) == (["10.0.0.100:5000"], ["10.1.0.100:5000"])
    named = Config.parse({**defaults, "vip": "10.0.0.100,10.1.0.100", "public-hostname": "cloud.example"})
    assert planes(named) == (["cloud.example:5000"], ["10.1.0.100:5000"])
    only_clients = Config.parse({**defaults, "vip": "10.0.0.100", "public-hostname": "cloud.example"})
    assert planes(only_clients) == (["cloud.example:5000"], ["10.0.0.100:5000"])
    assert NETWORKS.listen(config) == ("10.0.0.100", "10.1.0.100")
    assert [NETWORKS.interface(vip) for vip in config.vips] == ["eth0", "eth1"]


def inside(config, internal=()):
    route = asked(1, "a")
    return states.endpoints_inside(route, config, NETWORKS, internal), NETWORKS.listen_inside(config)


def test_a_route_for_services_only_is_in_their_network_where_there_is_one(defaults):
    both = Config.parse({**defaults, "vip": "10.0.0.100,10.1.0.100", "public-hostname": "cloud.example"})
    assert inside(both) == (["10.1.0.100:5000"], ("10.1.0.100",))
    one = Config.parse({**defaults, "vip": "10.0.0.100"})
    assert inside(one) == (["10.0.0.100:5000"], ("10.0.0.100",))
    told = inside(Config.parse(defaults), ["10.1.0.10", "10.1.0.11"])
    assert told == (["10.1.0.10:5000", "10.1.0.11:5000"], ("10.1.0.10",))


def test_with_one_virtual_address_all_go_there(defaults):
    assert planes(Config.parse({**defaults, "vip": "10.0.0.100"}), internal=["10.1.0.10"]) == (
        ["10.0.0.100:5000"], [],
    )  # fmt: skip
    assert planes(Config.parse({**defaults, "vip": "10.1.0.100"})) == (
        ["10.1.0.100:5000"],
        ["10.1.0.100:5000"],
    )


def test_without_a_virtual_address_all_units_serve_on_both(defaults):
    config = Config.parse(defaults)
    assert NETWORKS.listen(config) == ("10.0.0.10", "10.1.0.10")
    told = planes(config, ["10.0.0.10", "10.0.0.11"], ["10.1.0.10", "10.1.0.11"])
    assert told == (["10.0.0.10:5000", "10.0.0.11:5000"], ["10.1.0.10:5000", "10.1.0.11:5000"])


def test_the_first_keeps_what_two_want():
    served, refused = states.select([asked(2, "b"), asked(1, "a"), asked(3, "c", sni="c.example.com")])
    assert [one.application for one in served] == ["a", "c"]
    assert [refusal.asked.application for refusal in refused] == ["b"]


def test_one_application_that_asks_twice_is_told():
    _, (refusal,) = states.select([asked(1, "a"), asked(2, "a")])
    assert refusal.reason == "a and a want port 5000, which a keeps: have a ask once"


def test_the_port_of_the_metrics_is_nobodys():
    served, (refusal,) = states.select([asked(1, "a", port=8404)])
    assert served == ()
    assert refusal.reason.startswith("port 8404 is that of the gateway's own metrics")


def test_endpoints(defaults):
    route = asked(1, "a")
    several = Config.parse({**defaults, "vip": "10.0.0.100,fd00::1"})
    assert states.endpoints(route, several, several.vips, ["10.0.0.10"]) == [
        "10.0.0.100:5000",
        "[fd00::1]:5000",
    ]
    none = Config.parse(defaults)
    assert states.endpoints(route, none, (), ["10.0.0.10", "fd00::2"]) == ["10.0.0.10:5000", "[fd00::2]:5000"]
    named = asked(1, "a", sni="a.example.com")
    assert states.endpoints(named, several, several.vips, []) == ["a.example.com:5000"]


def test_a_drain_is_of_one_route_or_of_all():
    one, other = asked(1, "a"), asked(2, "a", port=5001)
    assert Drain(backend="a/0").covers(one, "a/0")
    assert not Drain(backend="a/0").covers(one, "a/1")
    assert Drain(backend="a/0", route="a-5000").covers(one, "a/0")
    assert not Drain(backend="a/0", route="a-5000").covers(other, "a/0")


def test_a_digest_is_empty_for_nothing():
    assert states.digest("", "") == ""
    assert states.digest("a", "b") != states.digest("ab", "")
