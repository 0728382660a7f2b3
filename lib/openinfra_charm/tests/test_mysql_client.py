"""Both sides of `mysql_client`, and its words on the wire as Canonical's published library writes them."""

import json
from typing import Any

import ops
import pytest
from ops import testing

from openinfra_charm.interfaces import mysql_client
from openinfra_charm.interfaces.mysql_client import Access, Request

# What a requirer with the published library (data_interfaces v0, DatabaseRequires) writes into its application data.
REQUEST_ON_THE_WIRE = {
    "database": "glance",
    "extra-user-roles": "admin",
    "external-node-connectivity": "true",
    "requested-secrets": '["username", "password", "tls", "tls-ca", "uris", "read-only-uris"]',
}
# What a provider with the published library (DatabaseProvides) answers with, beside the secret.
ANSWER_ON_THE_WIRE = {
    "data": json.dumps(REQUEST_ON_THE_WIRE),
    "database": "glance",
    "endpoints": "10.1.2.3:3306",
    "secret-user": "secret:9m4e2mr0ui3e8a215n4g",
    "version": "8.0.36",
}


class Provider(ops.CharmBase):
    """As the mysql charm."""


class Requirer(ops.CharmBase):
    """As the glance charm."""


def play(charm, relation, step, *, leader=True, secrets=()):
    """Run `step(charm, relation)` in a hook; return its value and the state after the hook."""
    role = "provides" if charm is Provider else "requires"
    meta = {"name": charm.__name__.lower(), role: {"database": {"interface": "mysql_client"}}}
    app = "mysql" if charm is Provider else "glance"
    context = testing.Context(charm, meta, app_name=app)
    state = testing.State(leader=leader, relations={relation}, secrets=secrets)
    with context(context.on.update_status(), state) as manager:
        value = step(manager.charm, manager.charm.model.get_relation("database"))
        return value, manager.run()


def relation(name="glance", **app_data):
    other = {key.replace("_", "-"): value for key, value in app_data.items()}
    return testing.Relation("database", remote_app_name=name, remote_app_data=other)


def read(**app_data):
    return play(Provider, relation(**app_data), lambda _, seen: mysql_client.read_request(seen))[0]


def ask(seen):
    """Return what the other side asks for, which it does."""
    request = mysql_client.read_request(seen)
    assert request
    return request


# The provider


def test_a_published_requirers_request_is_understood():
    request: Any = read(**REQUEST_ON_THE_WIRE)
    assert request == Request(
        relation_id=request.relation_id,
        application="glance",
        database="glance",
        roles=("admin",),
        takes_secrets=True,
        takes_tls_secret=True,
        raw=json.dumps(REQUEST_ON_THE_WIRE, sort_keys=True),
    )


def test_without_a_database_nothing_is_asked_for():
    assert read(requested_secrets='["username", "password"]') is None


@pytest.mark.parametrize("wanted", ["", "username", '"password"', '["username"]', "[1]", '{"username": 1}'])
def test_only_a_requirer_that_says_so_gets_a_secret(wanted):
    request: Any = read(database="x", requested_secrets=wanted)
    assert request.takes_secrets is False


def test_the_answer_is_what_published_requirers_read():
    def step(charm, seen):
        request = ask(seen)
        assert not mysql_client.is_answered(seen, charm.app, request)
        mysql_client.publish_secret(seen, charm.app, "secret:9m4e2mr0ui3e8a215n4g")
        mysql_client.answer(seen, charm.app, request, endpoints="10.1.2.3:3306", version="8.0.36")
        return mysql_client.is_answered(seen, charm.app, request)

    answered, after = play(Provider, relation(**REQUEST_ON_THE_WIRE), step)
    assert answered is True
    (end,) = after.relations
    written = dict(end.local_app_data)
    assert json.loads(written.pop("data")) == json.loads(ANSWER_ON_THE_WIRE["data"])
    assert written == {key: value for key, value in ANSWER_ON_THE_WIRE.items() if key != "data"}


def test_a_request_that_changes_is_not_answered_any_more():
    def step(charm, seen):
        mysql_client.answer(seen, charm.app, ask(seen), endpoints="10.1.2.3:3306", version="8")

    _, after = play(Provider, relation(database="one"), step)
    (end,) = after.relations
    later = testing.Relation(
        "database", remote_app_data={"database": "two"}, local_app_data=dict(end.local_app_data)
    )
    answered, _ = play(
        Provider,
        later,
        lambda charm, seen: mysql_client.is_answered(seen, charm.app, ask(seen)),
    )
    assert answered is False


def test_plain_credentials_go_where_old_requirers_look():
    _, after = play(
        Provider,
        relation(database="x"),
        lambda charm, seen: mysql_client.publish_plain(seen, charm.app, username="u", password="p"),
    )
    (end,) = after.relations
    assert dict(end.local_app_data) == {"username": "u", "password": "p"}


# The requirer


def test_the_request_is_what_published_providers_read():
    _, after = play(
        Requirer,
        relation("mysql"),
        lambda charm, seen: mysql_client.send_request(seen, charm.app, "glance", ("admin",)),
    )
    (end,) = after.relations
    wanted = {key: value for key, value in REQUEST_ON_THE_WIRE.items() if not key.startswith("external")}
    assert dict(end.local_app_data) == wanted


def access(secrets=(), **app_data):
    return play(
        Requirer,
        relation("mysql", **app_data),
        lambda charm, seen: mysql_client.read_access(charm.model, seen),
        secrets=secrets,
    )[0]


def test_a_published_providers_answer_is_understood():
    secret = testing.Secret(
        {"username": "relation-7", "password": "s3cret"}, id="secret:9m4e2mr0ui3e8a215n4g"
    )
    assert access({secret}, **ANSWER_ON_THE_WIRE) == Access(
        endpoints=("10.1.2.3:3306",),
        database="glance",
        username="relation-7",
        password="s3cret",
        version="8.0.36",
    )


def test_the_ca_comes_in_a_secret_or_in_plain_data():
    secret = testing.Secret({"tls": "True", "tls-ca": "PEM"}, id="secret:8m4e2mr0ui3e8a215n4g")
    plain = {"username": "u", "password": "p", "endpoints": "10.1.2.3:3306", "database": "x"}
    found: Any = access({secret}, **plain, **{"secret-tls": secret.id})
    assert found.ca == "PEM"
    found = access(**plain, tls="True", **{"tls-ca": "PEM"})
    assert found.ca == "PEM"
    found = access(**plain)
    assert found.ca == ""


def test_the_ca_is_handed_out_as_the_published_library_does():
    def step(charm, seen):
        assert not mysql_client.tells_tls(seen, charm.app)
        mysql_client.publish_tls(seen, charm.app, "PEM")
        assert mysql_client.tells_tls(seen, charm.app)
        mysql_client.publish_tls_secret(seen, charm.app, "secret:1")

    _, after = play(Provider, relation(database="glance"), step)
    (seen,) = after.relations
    assert seen.local_app_data == {"tls": "True", "tls-ca": "PEM", "secret-tls": "secret:1"}


def test_plain_credentials_are_understood_too():
    found: Any = access(username="u", password="p", endpoints="10.1.2.3:3306,10.1.2.4:3306", database="x")
    assert (found.username, found.password, found.endpoints[1]) == ("u", "p", "10.1.2.4:3306")


@pytest.mark.parametrize(
    "lacking", [{"endpoints": "10.1.2.3:3306"}, {"username": "u", "password": "p"}, {"database": "glance"}]
)
def test_there_is_no_access_before_all_of_it_is_there(lacking):
    assert access(**lacking) is None
