"""Where clients reach the object gateway, from what the model says alone."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from endpoints import Endpoints
from openinfra_charm.daemon.tls import Subject
from openinfra_charm.model.addresses import Place
from state import Settings

PLACE = Place(address="10.0.0.11", interface="eth0", subnets=("10.0.0.0/24",), ingress="203.0.113.11")


class Named:
    """A unit or an application: what relation data is kept by."""

    def __init__(self, name):
        self.name = self.app = name

    def is_leader(self):
        return False


class Peers:
    """The units of the application, and what each has published."""

    def __init__(self, facts):
        self.units = list(facts)
        self.published = facts

    def facts(self, unit):
        return self.published[unit]

    def publish(self, **facts):
        self.published["ceph-rgw/1"] |= facts


@pytest.fixture
def settings(defaults):
    def settings(**options):
        return Settings.parse(defaults | {name.replace("_", "-"): value for name, value in options.items()})

    return settings


@pytest.fixture
def endpoints(settings):
    """Return a function that makes the endpoints of unit 1, which follows, of two."""
    unit: Any = Named("ceph-rgw/1")

    def endpoints(gateway=None, **options):
        cluster: Any = Peers({"ceph-rgw/1": {}, "ceph-rgw/0": {"address": "203.0.113.10"}})
        relation: Any = None
        if gateway is not None:
            app = Named("gateway")
            said = {key: json.dumps(value) for key, value in gateway.items()}
            relation = SimpleNamespace(app=app, units=set(), data={app: said, unit: {}})
        found = Endpoints(unit, cluster, settings(**options), PLACE, gateway=relation, identity=None)
        return SimpleNamespace(found=found, cluster=cluster, said=relation and relation.data[unit])

    return endpoints


def test_without_a_gateway_clients_go_to_the_first_unit(endpoints):
    found = endpoints().found
    assert found.public_url == found.internal_url == "https://203.0.113.10:17480"
    assert endpoints(public_hostname="s3.example.org").found.public_url == "https://s3.example.org:17480"


def test_with_a_gateway_nobody_knows_where_they_go_until_it_says(endpoints):
    assert endpoints({}).found.public_url == ""
    found = endpoints({"endpoints": ["[fd00::100]:7480"], "internal-endpoints": ["10.1.0.100:7480"]}).found
    assert (found.public_url, found.internal_url) == ("https://[fd00::100]:7480", "https://10.1.0.100:7480")


def test_a_certificate_is_for_the_machine_the_gateway_and_buckets(endpoints):
    found = endpoints({"endpoints": ["cloud.example.com:7480"]}, public_hostname="s3.example.org").found
    assert found.subject("machine-1") == Subject(
        common_name="machine-1",
        dns=("machine-1", "*.s3.example.org", "cloud.example.com", "s3.example.org"),
        addresses=("10.0.0.11", "203.0.113.11"),
    )
    assert found.host_names == ["cloud.example.com", "s3.example.org"]


def test_the_zone_group_needs_no_names_where_one_holds_all(endpoints):
    assert endpoints({"endpoints": ["cloud.example.com:7480"]}).found.host_names == []
    assert (
        endpoints({"endpoints": ["10.0.0.9:7480"]}, public_hostname="s3.example.org").found.host_names == []
    )


def test_a_unit_says_where_it_is_and_what_its_front_takes(endpoints):
    one = endpoints({})
    one.found.publish(takes_proxied=False, health="")
    assert one.cluster.published["ceph-rgw/1"] == {"address": "203.0.113.11"}
    assert one.said == {"address": '"203.0.113.11"'}
    one.found.publish(takes_proxied=True, health="/health")
    assert one.cluster.published["ceph-rgw/1"]["takes_proxied"] is True
