"""Tools about relations and their data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openinfra_model.core import find
from openinfra_model.core.commit import merge
from openinfra_model.core.errors import ToolError, UsageError
from openinfra_model.core.hooktools.tool import Call, Tool, require_words, settings

if TYPE_CHECKING:
    from openinfra_model.core.entities import Relation

_ALIASES = {"r": "relation"}


def relation_of(call: Call) -> Relation:
    """Return the relation that `-r` names, or else that of the hook.

    Raises:
        UsageError: if there is none, or the unit is not in it.
    """
    hook = call.running.run.hook
    text = call.arguments.values.get("relation", "")
    if not text:
        if hook is None or hook.relation is None:
            raise UsageError("no relation id specified")
        text = str(hook.relation)
    endpoint, _, number = text.rpartition(":")
    relation = call.state.relations.get(number)
    if (
        relation is None
        or call.unit.name not in relation.units
        or endpoint not in ("", relation.local(call.unit.application).name)
    ):
        raise UsageError(f'invalid value "{text}" for option -r: relation not found')
    return relation


def data_of(call: Call) -> Relation:
    """Return the relation whose data a tool reads or writes.

    Raises:
        ToolError: if the model has dropped it already. With a real Juju network-get was seen to fail so; relation-list and
            relation-ids answer from what the unit's agent remembers, and of data nothing was seen: they are refused.
        UsageError: if there is none, or the unit is not in it.
    """
    relation, hook = relation_of(call), call.running.run.hook
    if call.running.relation_gone and hook and hook.relation == relation.id:
        raise ToolError("relation not found")
    return relation


def _relation_ids(call: Call) -> list[str]:
    require_words(call, 0, 1, "endpoint")
    hook = call.running.run.hook
    endpoint = call.arguments.word(0) or (hook.endpoint if hook else "")
    if not endpoint:
        raise UsageError("no endpoint name specified")
    application = call.unit.application
    numbers = sorted(
        relation.id
        for relation in find.relations_of(call.state, application)
        if relation.local(application).name == endpoint and call.unit.name in relation.units
    )
    return [f"{endpoint}:{number}" for number in numbers]


def _relation_list(call: Call) -> Any:
    require_words(call, 0, 0, "argument")
    relation = relation_of(call)
    if "app" in call.arguments.switches:
        return relation.remote(call.unit.application).application
    return sorted(call.running.members.get(relation.id, []), key=lambda name: int(name.rpartition("/")[2]))


def _relation_get(call: Call) -> Any:
    require_words(call, 0, 2, "key")
    relation = data_of(call)
    key = call.arguments.word(0) or "-"
    content = _data(call, relation, _subject(call, relation))
    return content if key == "-" else content.get(key)


def _subject(call: Call, relation: Relation) -> str:
    """Return whose data is asked for: a unit, or with `--app` an application."""
    hook = call.running.run.hook
    given = call.arguments.word(1)
    if "app" in call.arguments.switches:
        return given.partition("/")[0] or relation.remote(call.unit.application).application
    subject = given or (hook.remote_unit if hook else "")
    if not subject:
        raise UsageError("no unit id specified")
    return subject


def _data(call: Call, relation: Relation, subject: str) -> dict[str, str]:
    """Return data as this hook sees it, with what it wrote itself."""
    if subject in {end.application for end in relation.endpoints}:
        bag = relation.applications.get(subject)
        written = call.running.application_settings if subject == call.unit.application else {}
    else:
        bag = relation.units.get(subject) or relation.departed.get(subject)
        written = call.running.unit_settings if subject == call.unit.name else {}
        if bag is None:
            raise ToolError(f'cannot read settings for unit "{subject}" in relation "{relation}": not found')
    content = merge(bag.content if bag else {}, written.get(relation.id, {}))
    return dict(sorted(content.items()))


def _relation_set(call: Call) -> None:
    relation = data_of(call)
    changes = settings(call, call.arguments.words)
    written = call.running.unit_settings
    if "app" in call.arguments.switches:
        if not call.is_leader:
            raise ToolError("cannot write relation settings")
        written = call.running.application_settings
    written.setdefault(relation.id, {}).update(changes)


def _relation_model_get(call: Call) -> dict[str, str]:
    require_words(call, 0, 0, "argument")
    relation_of(call)
    return {"uuid": call.state.model.uuid}


TOOLS = {
    "relation-ids": Tool(run=_relation_ids, format="smart"),
    "relation-list": Tool(
        run=_relation_list, values=("relation",), switches=("app",), aliases=_ALIASES, format="smart"
    ),
    "relation-get": Tool(
        run=_relation_get, values=("relation",), switches=("app",), aliases=_ALIASES, format="smart"
    ),
    "relation-set": Tool(run=_relation_set, values=("relation", "file"), switches=("app",), aliases=_ALIASES),
    "relation-model-get": Tool(
        run=_relation_model_get, values=("relation",), aliases=_ALIASES, format="smart"
    ),
}
