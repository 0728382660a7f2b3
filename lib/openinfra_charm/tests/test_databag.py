"""What is written into relation data, and when not."""

import ops
import pytest
from ops import testing

from openinfra_charm.model import databag


class Probe(ops.CharmBase):
    """Writes as the tests say."""


@pytest.fixture
def put():
    """Write a value in a hook; return what the unit says in the relation after it."""

    def put(text, *known):
        context = testing.Context(Probe, {"name": "probe", "requires": {"db": {"interface": "db"}}})
        relation = testing.Relation("db", local_unit_data=dict(known))
        with context(context.on.update_status(), testing.State(relations={relation})) as manager:
            model = manager.charm.model
            databag.put(model.relations["db"][0].data[model.unit], "key", text)
            return dict(manager.run().get_relation(relation.id).local_unit_data)

    return put


def test_a_value_is_written(put):
    assert put("value")["key"] == "value"


def test_the_empty_text_takes_it_away(put):
    assert "key" not in put("", ("key", "value"))


def test_where_the_relation_is_gone_nobody_is_told(put, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise ops.RelationNotFoundError

    monkeypatch.setattr("scenario.mocking._MockModelBackend.update_relation_data", refuse)
    assert "key" not in put("value")


def test_what_one_relation_says_wrong_keeps_nobody_else_from_theirs():
    context = testing.Context(Probe, {"name": "probe", "requires": {"db": {"interface": "db"}}})
    relations = {
        testing.Relation("db", id=number, remote_app_name=app, remote_app_data=said)
        for number, (app, said) in enumerate((
            ("one", {"host": "10.0.0.1"}), ("bad", {"host": "a b"}), ("silent", {}), ("two", {"host": "h"}),
        ))
    }  # fmt: skip

    def read(relation):
        said = relation.data[relation.app]
        databag.check(relation, databag.HOST, dict(said))
        return said.get("host")

    with context(context.on.update_status(), testing.State(relations=relations)) as manager:
        found, problems = databag.read_each(manager.charm.model.relations["db"], read)
        assert {relation.app.name: one for relation, one in found.items()} == {"one": "10.0.0.1", "two": "h"}
    assert problems == ["bad says host='a b' in db, which cannot be used: expected an address or a host name"]
