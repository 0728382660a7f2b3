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
