"""What other applications say gets into files: what is not of its form is named and used by nobody."""

import json

import ops
import pytest
from ops import testing

from openinfra_charm.interfaces import (
    ceph_client,
    ceph_daemons,
    ceph_mds,
    haproxy_route_tcp,
    keystone,
    keystone_credentials,
    memcache,
    mysql_client,
)
from openinfra_charm.model.databag import ENDPOINT, HOST, LINE, NAME, URL
from openinfra_charm.model.status import NeedsOperatorError

ANSWERED = json.dumps({"api-version": 1, "request-id": "mine", "exit-code": 0})
MONITOR = {"ceph-public-address": "10.0.0.1", "fsid": "6e2b", "key": "AQ==", "mds.a_mds_key": "AQ=="}
SAID = {
    "database": {"endpoints": "10.0.0.1:3306", "database": "app", "username": "app", "password": "secret"},
    "identity": {
        "internal-auth-url": "https://10.0.0.1:5000/v3", "region": "RegionOne", "service-project-name": "services",
    },
    "credentials": {"internal-endpoint": "https://10.0.0.1:5000/v3", "region": "RegionOne", "project-name": "services"},
    "ceph": {"ceph-public-address": "10.0.0.1", "key": "AQ=="},
    "mds": {"ceph-public-address": "10.0.0.1", "fsid": "6e2b-11", "mds.a_mds_key": "AQ=="},
}  # fmt: skip
"""What the other side says where all is well, in the endpoint of that name."""


class Probe(ops.CharmBase):
    """Reads as the tests say."""


def read(endpoint, **changes):
    """Have a unit read what the other side says, some of it other than where all is well."""
    context = testing.Context(
        Probe, {"name": "probe", "requires": {name: {"interface": name} for name in SAID}}, app_name="probe"
    )
    secret = testing.Secret({"username": "probe", "password": "secret"} | changes.pop("content", {}))
    said = SAID[endpoint] | {key.replace("_", "-"): value for key, value in changes.items()}
    by_unit = endpoint in {"ceph", "mds"}
    unit = said | {"broker-rsp-probe-0": ANSWERED} if by_unit else {}
    ids = {"service-credentials": secret.id, "credentials": secret.id}
    relation = testing.Relation(
        endpoint,
        remote_app_name="other",
        remote_app_data={} if by_unit else said | ids,
        remote_units_data={0: unit},
    )
    state = testing.State(relations={relation}, secrets={secret})
    with context(context.on.update_status(), state) as manager:
        model, unit = manager.charm.model, manager.charm.unit
        found = model.relations[endpoint][0]
        match endpoint:
            case "database":
                return mysql_client.read_access(model, found)
            case "identity":
                return keystone.read_access(model, found)
            case "credentials":
                return keystone_credentials.read_access(model, found)
            case "ceph":
                return ceph_client.read_access(model, found, "probe", unit, "mine")
            case _:
                return ceph_daemons.read_access(
                    model, found, ceph_mds.FORMAT, "mds.a", unit=unit, request_id="mine"
                )


@pytest.mark.parametrize("endpoint", SAID)
def test_what_is_well_said_is_used(endpoint):
    assert read(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "changes", "words"),
    [
        ("database", {"endpoints": "10.0.0.1:3306\nx = 1"}, "other says endpoints='10.0.0.1:3306.nx = 1' in database"),
        ("database", {"endpoints": "10.0.0.1:3306,evil/?a=b:1"}, "expected host:port"),
        ("database", {"database": "app?ssl_ca=/tmp/own"}, "expected letters"),
        ("database", {"username": "app\n[database]"}, r"username=\.\.\."),
        ("database", {"password": "a\rb"}, r"password=\.\.\."),
        ("identity", {"internal_auth_url": "https://10.0.0.1/v3\nrgw = 1"}, "internal-auth-url"),
        ("identity", {"public_auth_url": "file:///etc/shadow"}, "expected a URL"),
        ("identity", {"region": "RegionOne\n"}, "region"),
        ("identity", {"service_project_name": "a\x00b"}, "service-project-name"),
        ("identity", {"content": {"password": "a\nb"}}, r"password=\.\.\."),
        ("credentials", {"internal_endpoint": "https://10.0.0.1/v3 x"}, "internal-endpoint"),
        ("credentials", {"project_name": "a\nb"}, "project-name"),
        ("ceph", {"ceph_public_address": "10.0.0.1\nadmin_socket = /etc/x"}, "ceph-public-address"),
        ("ceph", {"key": "AQ==\n[client.admin]"}, r"key=\.\.\."),
        ("mds", {"fsid": "6e2b\nrun_dir = /etc"}, "fsid"),
        ("mds", {"ceph_public_address": "10.0.0.1;rm"}, "ceph-public-address"),
    ],
)  # fmt: skip
def test_what_would_be_another_line_of_a_file_is_named(endpoint, changes, words):
    with pytest.raises(NeedsOperatorError, match=words) as refused:
        read(endpoint, **changes)
    assert "secret" not in str(refused.value)


def _relation(endpoint, **said):
    context = testing.Context(Probe, {"name": "probe", "requires": {endpoint: {"interface": endpoint}}})
    relation = testing.Relation(endpoint, remote_app_name="other", **said)
    return context(context.on.update_status(), testing.State(relations={relation}))


def test_a_server_of_a_cache_with_another_name_is_left_out():
    units = {0: {"host": "10.0.0.1\n[x]", "port": "11211"}, 1: {"host": "10.0.0.2", "port": "11211"}}
    with _relation("cache", remote_units_data=units) as manager:
        servers = memcache.read_servers(manager.charm.model.relations["cache"][0])
    assert [server.host for server in servers] == ["10.0.0.2"]


def test_an_endpoint_that_is_none_is_left_out():
    said = {"endpoints": json.dumps(["10.0.0.1:443", "a:1\nb", "[fd00::1]:443", 7])}
    with _relation("gateway", remote_app_data=said) as manager:
        found = haproxy_route_tcp.read_endpoints(manager.charm.model.relations["gateway"][0])
    assert found == ("10.0.0.1:443", "[fd00::1]:443")


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        (LINE, ["", "pä ss'wörd#;"], ["a\nb", "\x7f", "\t"]),
        (NAME, ["nova_cell0", "a-b.c"], ["a b", "a?b", "ä"]),
        (HOST, ["10.0.0.1", "fd00::1", "[fd00::1]", "db-0.example.org"], ["", "a b", "a\n", "a;b"]),
        (ENDPOINT, ["h:1", "[::1]:65535"], ["h", "h:", "::1:2", "h:1\n"]),
        (URL, ["", "https://[fd00::1]:5000/v3", "http://a"], ["ftp://a", "https://a b", "https://a\n"]),
    ],
)
def test_forms(form, good, bad):
    assert [text for text in good if not form.fits(text)] == []
    assert [text for text in bad if form.fits(text)] == []
