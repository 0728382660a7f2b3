"""Tools about storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openinfra_model.core import storage
from openinfra_model.core.errors import ToolError, UsageError
from openinfra_model.core.hooktools.tool import Call, Tool, require_words

if TYPE_CHECKING:
    from openinfra_model.core.entities import Storage


def _visible(call: Call) -> dict[str, Storage]:
    return {item.id: item for item in storage.attached(call.state, call.unit.name) if item.provisioned}


def _storage_list(call: Call) -> list[str]:
    require_words(call, 0, 1, "storage name")
    name = call.arguments.word(0)
    return sorted(item.id for item in _visible(call).values() if name in ("", item.name))


def _storage_get(call: Call) -> Any:
    require_words(call, 0, 1, "attribute")
    hook = call.running.run.hook
    identity = call.arguments.values.get("s", hook.storage if hook else "")
    if not identity:
        raise UsageError("no storage instance specified")
    item = _visible(call).get(identity)
    if item is None:
        raise UsageError(f'invalid value "{identity}" for option -s: storage not found')
    values = {"kind": item.kind, "location": item.location}
    if not (attribute := call.arguments.word(0)):
        return values
    if attribute not in values:
        raise ToolError(f'invalid storage attribute "{attribute}"')
    return values[attribute]


def _storage_add(call: Call) -> None:
    require_words(call, 1, None, "storage name")
    known = call.state.charm_of(call.application).charm.storage
    for word in call.arguments.words:
        name, _, count = word.partition("=")
        if name not in known:
            raise UsageError(f'invalid storage "{name}"')
        if count and not count.isdigit():
            raise UsageError(
                f'cannot parse "{count}" as a count: only a number of instances can be set, as in {name}=1'
            )
        call.running.new_storage[name] = call.running.new_storage.get(name, 0) + int(count or 1)


TOOLS = {
    "storage-list": Tool(run=_storage_list, format="smart"),
    "storage-get": Tool(run=_storage_get, values=("s",), format="smart"),
    "storage-add": Tool(run=_storage_add),
}
