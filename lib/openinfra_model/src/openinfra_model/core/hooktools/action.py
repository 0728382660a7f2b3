"""Tools of actions."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, cast

from openinfra_model.core.errors import ToolError, UsageError
from openinfra_model.core.hooktools.tool import Call, Tool, require_words, settings

_KEY = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_RESERVED = ("stdout", "stdout-encoding", "stderr", "stderr-encoding", "return-code")


def _require_action(call: Call) -> None:
    if call.running.run.hook is not None:
        raise ToolError("not running an action")


def _action_get(call: Call) -> Any:
    _require_action(call)
    require_words(call, 0, 1, "key")
    value: Any = dict(call.state.tasks[call.running.run.task].parameters)
    for part in [part for part in call.arguments.word(0).split(".") if part]:
        value = cast("dict[str, Any]", value).get(part) if isinstance(value, dict) else None
    return value


def _action_set(call: Call) -> None:
    _require_action(call)
    for key, value in settings(call, call.arguments.words).items():
        parts = key.split(".")
        if key in _RESERVED:
            raise UsageError(f'cannot set reserved action key "{key}"')
        if not all(_KEY.fullmatch(part) for part in parts):
            raise UsageError(
                f'key "{key}" must start and end with lowercase alphanumeric, '
                "and contain only lowercase alphanumeric, hyphens and periods"
            )
        _put(call.running.results, parts, value)


def _put(results: dict[str, Any], parts: list[str], value: str) -> None:
    """Store a value under nested keys; what was there under a shorter key gives way."""
    *parents, last = parts
    for parent in parents:
        if not isinstance(results.get(parent), dict):
            results[parent] = {}
        results = cast("dict[str, Any]", results[parent])
    results[last] = value


def _action_fail(call: Call) -> None:
    _require_action(call)
    call.running.failure = " ".join(call.arguments.words)


def _action_log(call: Call) -> None:
    _require_action(call)
    require_words(call, 1, None, "message")
    task = call.state.tasks[call.running.run.task]
    call.state.tasks.put(replace(task, log=(*task.log, (call.now, " ".join(call.arguments.words)))))


TOOLS = {
    "action-get": Tool(run=_action_get, format="smart"),
    "action-set": Tool(run=_action_set),
    "action-fail": Tool(run=_action_fail),
    "action-log": Tool(run=_action_log),
}
