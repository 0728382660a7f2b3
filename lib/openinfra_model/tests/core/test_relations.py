"""Which relations can be, and what removal has to wait for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openinfra_model.core import ModelError, machines, relations, units
from openinfra_model.core.entities import Network

from .play import Play, charm

DB = charm("db", provides={"sql": "mysql", "admin": "mysql"}, peers={"cluster": "db-peer"})
WEB = charm("web", requires={"sql": "mysql"})
AGENT = charm("agent", subordinate=True, requires={"host": "juju-info", "metrics": "prometheus"})
APP = charm("app", provides={"metrics": "prometheus"}, config={"fails": False})


@pytest.fixture
def play() -> Play:
    return Play()


def test_an_ambiguous_relation_names_what_it_could_be(play):
    play.deploy(DB)
    play.deploy(WEB)
    with pytest.raises(ModelError) as refused:
        relations.integrate(play.state, "web", "db", now=play.now)
    assert str(refused.value) == (
        'ambiguous relation: "web db" could refer to "web:sql db:admin"; "web:sql db:sql"'
    )


def test_what_charms_name_goes_before_the_implicit_endpoint(play):
    play.deploy(AGENT)
    play.deploy(APP)
    play.integrate("agent", "app")
    [relation] = play.state.relations
    assert str(relation) == "agent:metrics app:metrics"


def test_a_container_scoped_relation_needs_a_subordinate(play):
    principal = replace(AGENT, name="principal", subordinate=False)
    play.deploy(principal)
    play.deploy(APP)
    with pytest.raises(ModelError, match="no relations found"):
        relations.integrate(play.state, "principal:host", "app", now=play.now)


def test_an_endpoint_has_no_more_relations_than_its_limit(play):
    sql = replace(WEB.endpoints["sql"], limit=1)
    play.deploy(replace(WEB, endpoints={"sql": sql}))
    play.deploy(DB)
    play.deploy(DB, "other")
    play.integrate("web", "db:sql")
    with pytest.raises(ModelError, match="would exceed its maximum relation limit of 1"):
        relations.integrate(play.state, "web", "other:sql", now=play.now)


def test_a_relation_cannot_be_twice(play):
    play.deploy(DB)
    play.deploy(WEB)
    play.integrate("web", "db:sql")
    with pytest.raises(ModelError, match="relation web:sql db:sql already exists"):
        relations.integrate(play.state, "db:sql", "web", now=play.now)


def test_a_relation_that_is_removed_by_force_leaves_nothing_behind(play):
    play.deploy(DB)
    play.deploy(WEB)
    play.integrate("web", "db:sql")
    before = len(play.hooks)
    relations.remove(play.state, "web", "db", now=play.now, force=True)
    play.settle()
    assert play.hooks[before:] == []
    assert set(play.state.agents["web/0"].memberships) == set()


def test_a_unit_in_error_goes_when_its_error_is_resolved():
    world = Play(charm=lambda run: int(run.name == "start"))
    world.deploy(APP)
    world.settle()
    units.remove(world.state, ["app/0"], now=world.now)
    world.settle()
    assert "app/0" in world.state.units
    units.resolve(world.state, "app/0", retry=False)
    world.settle()
    assert world.names("app/0")[-2:] == ["stop", "remove"]
    assert "app/0" not in world.state.units


def test_a_unit_that_was_never_installed_goes_without_hooks(play):
    play.deploy(APP)
    units.remove(play.state, ["app/0"], now=play.now)
    play.settle()
    assert play.hooks == []
    assert "app/0" not in play.state.units


def test_a_new_address_is_published_and_told(play):
    play.deploy(DB)
    play.deploy(WEB)
    play.integrate("web", "db:sql")
    before = len(play.hooks)
    network = Network(address="10.0.0.77", cidr="10.0.0.0/24")
    machines.provisioned(play.state, "0", instance_id="i-0", hostname="h-0", network=network, now=play.now)
    play.settle()
    assert sorted(play.hooks[before:]) == [("db/0", "config-changed"), ("web/0", "sql-relation-changed")]
    assert play.state.relations["1"].units["db/0"].content["ingress-address"] == "10.0.0.77"
