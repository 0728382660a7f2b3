"""Both sides of `ovsdb` and `ovsdb-cms`, and their words on the wire as the published charms write them."""

import ops
import pytest
from ops import testing

from openinfra_charm.interfaces import ovsdb, ovsdb_cms
from openinfra_charm.interfaces.ovsdb import Connections
from openinfra_charm.model.status import NeedsOperatorError


class Charm(ops.CharmBase):
    """As either side."""


def play(role, step, *, units=None, app=None, leader=True):
    """Run `step(relation, charm)` in a hook; return its value, and what unit and application have published then."""
    context = testing.Context(Charm, {"name": "charm", role: {"databases": {"interface": "ovsdb"}}})
    relation = testing.Relation("databases", remote_units_data=units or {0: {}}, remote_app_data=app or {})
    state = testing.State(leader=leader, relations={relation})
    with context(context.on.update_status(), state) as manager:
        value = step(manager.charm.model.get_relation("databases"), manager.charm)
        after = manager.run().get_relation(relation.id)
    own = {
        key: text
        for key, text in after.local_unit_data.items()
        if key not in {"egress-subnets", "ingress-address", "private-address"}
    }
    return value, own, dict(after.local_app_data)


def read(interface, **said):
    return play("requires", lambda relation, _: interface.read(relation), **said)[0]


def test_a_unit_publishes_what_the_published_charms_do():
    _, unit, _ = play(
        "provides", lambda relation, charm: ovsdb.publish_address(relation, charm.unit, "10.0.0.5")
    )
    assert unit == {"bound-address": "10.0.0.5"}


def test_a_unit_without_databases_takes_its_address_back():
    def publish_and_withdraw(relation, charm):
        ovsdb_cms.publish_address(relation, charm.unit, "10.0.0.5")
        ovsdb_cms.publish_address(relation, charm.unit, "")

    assert play("provides", publish_and_withdraw)[1] == {}


def test_the_leader_publishes_what_microovn_does():
    _, _, app = play(
        "provides",
        lambda relation, charm: ovsdb_cms.publish_connections(relation, charm.app, ["10.0.0.5", "fd00::6"]),
    )
    assert app == {
        "db_nb_connection_strs": "ssl:10.0.0.5:6641,ssl:[fd00::6]:6641",
        "db_sb_connection_strs": "ssl:10.0.0.5:16642,ssl:[fd00::6]:16642",
    }


def test_a_chassis_connects_where_it_may_write_no_more_than_a_chassis():
    units = {number: {"bound-address": f"10.0.0.{number}"} for number in (10, 2)}
    assert read(ovsdb, units=units) == Connections(
        northbound="ssl:10.0.0.2:6641,ssl:10.0.0.10:6641", southbound="ssl:10.0.0.2:6642,ssl:10.0.0.10:6642"
    )


def test_a_cloud_management_system_has_a_port_of_its_own():
    found = read(ovsdb_cms, units={0: {"bound-address": "10.0.0.5"}})
    assert found.southbound == "ssl:10.0.0.5:16642"


def test_the_published_charm_writes_ipv6_addresses_in_brackets():
    found = read(ovsdb, units={0: {"bound-address": "[fd00::5]"}})
    assert found.southbound == "ssl:[fd00::5]:6642"


def test_a_unit_that_has_not_published_is_left_out():
    found = read(ovsdb, units={0: {}, 1: {"bound-address": "10.0.0.6"}})
    assert found.northbound == "ssl:10.0.0.6:6641"
    assert read(ovsdb, units={0: {}, 1: {}}) is None


def test_what_only_the_application_has_said_is_read():
    app = {
        "db_nb_connection_strs": "ssl:10.0.0.5:6641,ssl:10.0.0.6:6641",
        "db_sb_connection_strs": "ssl:10.0.0.5:6642",
    }
    assert read(ovsdb_cms, app=app) == Connections(
        northbound=app["db_nb_connection_strs"], southbound=app["db_sb_connection_strs"]
    )
    assert read(ovsdb_cms, app={"db_nb_connection_strs": "ssl:10.0.0.5:6641"}) is None


@pytest.mark.parametrize(
    "said",
    [
        {"units": {0: {"bound-address": "10.0.0.5\nlisten: 0.0.0.0"}}},
        {"app": {"db_nb_connection_strs": "ssl:a:6641;b", "db_sb_connection_strs": "ssl:a:6642"}},
    ],
)
def test_what_would_be_another_setting_is_refused(said):
    with pytest.raises(NeedsOperatorError, match="in databases, which cannot be used: expected"):
        read(ovsdb, **said)
