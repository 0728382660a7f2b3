"""Users of a directory, as a domain: what the operator gives wrong is said, and keeps nobody else from logging in."""

import configparser

import ops
import pytest
from ops import testing

from directory import Directory, DirectoryError

ACTIVE = ops.ActiveStatus()
SECRET = "secret:l00000000000000000l0"
GIVEN = {
    "url": "ldaps://ldap.example.com", "user": "cn=reader,dc=example,dc=com", "password": "pa$$word",
    "suffix": "dc=example,dc=com", "user-tree-dn": "ou=people,dc=example,dc=com",
}  # fmt: skip
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
CONFIG, DOMAIN = "/etc/keystone/keystone.conf", "/etc/keystone/domains/keystone.corp.conf"


@pytest.fixture
def related(deploy):
    """Return a function that deploys units with a directory that the operator gives."""
    from conftest import Model  # pyright: ignore[reportAttributeAccessIssue]  each charm has one

    def related(units=1, **content):
        secrets = [testing.Secret(content, id=SECRET)] if content else []
        model = Model(units, {"ldap_domain": "corp", "ldap_secret": SECRET}, secrets)
        for _ in range(units + 1):
            model.every()
        return model

    return related


def ldap(model, number=0):
    parser = configparser.RawConfigParser()
    parser.read_string(model.machines[number].read(DOMAIN))
    assert parser["identity"]["driver"] == "ldap"
    return dict(parser["ldap"])


def test_without_a_domain_there_is_nothing_of_it(one):
    assert "domain_specific" not in one.machines[0].read(CONFIG)
    assert not one.machines[0].exists("/etc/keystone/domains")


def test_a_domain_is_made_before_keystone_reads_its_file(related):
    model = related(2, **GIVEN)
    assert isinstance(model.statuses[0], ops.ActiveStatus)
    assert len(model.database.find("domains", name="corp")) == 1
    for number in (0, 1):
        machine = model.machines[number]
        assert "domain_config_dir = /etc/keystone/domains\n" in machine.read(CONFIG)
        # It is read at a start only, so the first unit has started again since.
        assert machine.starts["keystone-api.service"] == 2 - number
        node = machine.nodes[DOMAIN]
        assert (node.mode, node.owner) == (0o640, ("root", "keystone"))
    found = ldap(model, 1)
    assert (found["url"], found["user_tree_dn"]) == (GIVEN["url"], GIVEN["user-tree-dn"])
    assert found["password"] == "pa$$$$word"
    assert (found["use_tls"], found["tls_req_cert"]) == ("false", "demand")
    assert found["tls_cacertfile"] == "/etc/ssl/certs/ca-certificates.crt"


def test_a_second_reconcile_changes_nothing(related):
    model = related(1, **GIVEN)
    model.log()
    model.every()
    model.update_status()
    assert model.log() == []


def test_a_password_in_clear_is_never_said(related):
    model = related(1, **{**GIVEN, "url": "ldap://a.example.com,ldap://b.example.com", "ca": CA})
    found = ldap(model)
    assert found["use_tls"] == "true"
    assert model.machines[0].read(found["tls_cacertfile"]) == f"{CA}\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, f"config ldap-secret={SECRET}: cannot be read; juju grant-secret {SECRET} keystone"),
        ({"url": "ldaps://ldap.example.com"}, "it has no user, no password, no suffix"),
        ({**GIVEN, "url": "ldap.example.com"}, "url is not of the form ldaps://ldap.example.com"),
        ({**GIVEN, "url": "ldap://a.example.com,ldaps://b.example.com"}, "url has ldap: and ldaps: at once"),
        ({**GIVEN, "user-tree": "ou=people"}, "user-tree is none of url, user"),
        ({**GIVEN, "suffix": "dc=example\n[DEFAULT]\ndebug=true"}, "suffix has more than one line"),
        ({**GIVEN, "ca": "nothing"}, "ca is not a certificate in PEM"),
    ],
)
def test_what_cannot_be_used_is_named_and_keystone_serves(related, content, words):
    model = related(1, **content)
    assert isinstance(model.statuses[0], ops.BlockedStatus)
    assert words in model.statuses[0].message
    assert "pa$$word" not in model.statuses[0].message
    assert not model.machines[0].exists(DOMAIN)
    assert model.machines[0].serves("keystone-api.service")
    assert model.database.find("users", name="admin")


def test_what_was_there_stays_when_the_new_one_cannot_be_used(related):
    model = related(1, **GIVEN)
    starts = model.machines[0].starts["keystone-api.service"]
    (secret,) = [one for one in model.secrets if one.id == SECRET]
    broken = testing.Secret(secret.tracked_content, latest_content={"url": "ldaps://ldap"}, id=SECRET)
    model.secrets = frozenset({*(one for one in model.secrets if one.id != SECRET), broken})
    model.every()
    assert "it has no user" in model.statuses[0].message
    assert ldap(model)["url"] == GIVEN["url"]
    assert model.machines[0].starts["keystone-api.service"] == starts


def test_a_domain_that_nobody_wants_any_more_is_read_no_more(related):
    model = related(1, **GIVEN)
    model.configure(ldap_domain="")
    model.every()
    assert model.statuses[0] == ACTIVE
    assert "domain_specific" not in model.machines[0].read(CONFIG)
    assert model.machines[0].list_folder("/etc/keystone/domains") == []


def test_without_a_secret_it_is_said_what_is_missing(deploy):
    model = deploy(1, ldap_domain="corp")
    assert "ldap-secret names no secret with url, user, password and suffix" in model.statuses[0].message


@pytest.mark.parametrize("name", ["Default", "service_domain", "with blanks", "../up"])
def test_names_that_a_domain_cannot_have_are_refused(deploy, name):
    assert "config ldap-domain=" in deploy(1, ldap_domain=name).statuses[0].message


def test_several_servers_are_one_directory():
    found = Directory.parse({**GIVEN, "url": "ldaps://a.example.com, ldaps://b.example.com"})
    assert found.options["url"] == "ldaps://a.example.com, ldaps://b.example.com"
    with pytest.raises(DirectoryError, match="not of the form"):
        Directory.parse({**GIVEN, "url": "ldaps://a.example.com,"})
