"""Actions and commands: queued for units, checked against the charm's schema, cancelled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from jsonschema import Draft4Validator

from openinfra_model.core import find
from openinfra_model.core.entities import Operation, Task
from openinfra_model.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jsonschema import ValidationError

    from openinfra_model.charm import ActionSpec
    from openinfra_model.core.state import State

EXEC = "juju-exec"
ENDED = frozenset({"completed", "failed", "cancelled", "aborted", "error"})
"""The states of a task that is over."""
NANOSECONDS = 1_000_000_000


def enqueue(
    state: State, unit_names: Sequence[str], action: str, parameters: Mapping[str, Any], now: float
) -> str:
    """Queue an action on units (`ceph/0`, `ceph/leader`) and return the operation's id.

    Parameters that the schema refuses make a task that is in error already, as Juju's do.

    Raises:
        ModelError: if a unit or the action is not there.
    """
    units = [find.unit(state, name) for name in unit_names]
    specs = [_spec(state, unit.application, action) for unit in units]
    tasks: list[Task] = []
    operation = str(state.take("operation"))
    for unit, spec in zip(units, specs, strict=True):
        given, problem = _validated(spec, parameters)
        task = Task(
            id=str(state.take("operation")),
            operation=operation,
            unit=unit.name,
            action=action,
            parameters=given,
            parallel=spec.parallel,
            execution_group=spec.execution_group,
            enqueued=now,
        )
        if problem:
            # Seen with 4.0.14: an error, not a failure, with no time of its end.
            message = f'cannot run "{action}" action: validation failed: {problem}'
            task = replace(task, status="error", message=message)
        tasks.append(task)
    return _store(state, operation, f"{action} run on {_joined([unit.name for unit in units])}", tasks, now)


def _spec(state: State, application: str, action: str) -> ActionSpec:
    charm = state.charm_of(state.applications[application]).charm
    if action not in charm.actions:
        raise ModelError(f'action "{action}" not defined on application "{application}"')
    return charm.actions[action]


def _joined(names: list[str]) -> str:
    return "unit-" + ",unit-".join(name.replace("/", "-") for name in names)


def enqueue_exec(
    state: State,
    unit_names: Sequence[str],
    command: str,
    *,
    now: float,
    timeout: float = 300.0,
    parallel: bool = True,
    local: bool = False,
) -> str:
    """Queue a shell command on units and return the operation's id; `local` as `Task` has it.

    Raises:
        ModelError: if a unit is not there.
    """
    units = [find.unit(state, name) for name in unit_names]
    operation = str(state.take("operation"))
    tasks = [
        Task(
            id=str(state.take("operation")),
            operation=operation,
            unit=unit.name,
            action=EXEC,
            parameters={"command": command, "timeout": int(timeout * NANOSECONDS)},
            parallel=parallel,
            local=local,
            enqueued=now,
        )
        for unit in units
    ]
    return _store(state, operation, f"{EXEC} run on {_joined([unit.name for unit in units])}", tasks, now)


def _store(state: State, operation: str, summary: str, tasks: list[Task], now: float) -> str:
    state.operations.put(
        Operation(id=operation, summary=summary, tasks=tuple(task.id for task in tasks), enqueued=now)
    )
    for task in tasks:
        state.tasks.put(task)
        if task.status == "pending":
            unit = state.units[task.unit]
            state.units.put(replace(unit, tasks=(*unit.tasks, task.id)))
    return operation


def cancel(state: State, task: str, now: float) -> None:
    """Cancel a task that waits; one that runs is marked: the caller ends it and finishes it then.

    Raises:
        ModelError: if it is not there or is over.
    """
    found = find.task(state, task)
    if found.status == "pending":
        end(state, replace(found, status="cancelled", completed=now, message="action cancelled via the API"))
    elif found.status == "running":
        state.tasks.put(replace(found, status="aborting"))
    else:
        raise ModelError(f'task "{task}" is already {found.status}')


def end(state: State, task: Task) -> None:
    """Store a task that is over and take it from its unit's queue."""
    state.tasks.put(task)
    unit = state.units.get(task.unit)
    if unit:
        state.units.put(replace(unit, tasks=tuple(waiting for waiting in unit.tasks if waiting != task.id)))


def _validated(spec: ActionSpec, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the parameters with the schema's defaults, and what is wrong with them."""
    properties = cast("dict[str, dict[str, Any]]", spec.schema.get("properties", {}))
    defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    given = {**defaults, **{name: _flattened(value) for name, value in parameters.items()}}
    # jsonschema's typing leaves iter_errors partially unknown; its errors are ValidationErrors.
    errors = cast("list[ValidationError]", list(Draft4Validator(spec.schema).iter_errors(given)))  # pyright: ignore[reportUnknownMemberType]
    return given, " ; ".join(sorted({text for error in errors for text in _worded(error)}))


def _flattened(value: Any) -> Any:
    """Return a list or an object as the text that Juju 4.0.15 makes of it, so that its schema refuses it."""
    if isinstance(value, dict):
        items = sorted(cast("dict[str, Any]", value).items())
        return "map[" + " ".join(f"{key}:{_plain(item)}" for key, item in items) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_plain(item) for item in cast("list[Any]", value)) + "]"
    return value


def _plain(value: Any) -> str:
    """Return a value as Go prints it."""
    flat = _flattened(value)
    if isinstance(flat, bool):
        return "true" if flat else "false"
    return "<nil>" if flat is None else str(flat)


def _worded(error: ValidationError) -> list[str]:
    """Return a violation in the words of Juju's schema library (juju/gojsonschema)."""
    place = ".".join(["(root)", *(str(part) for part in error.absolute_path)])
    instance, rule = cast("Any", error.instance), cast("Any", error.validator_value)
    given = f'"{instance}"' if isinstance(instance, str) else _plain(instance)
    match error.validator:
        case "type":
            kinds = cast("list[str]", rule if isinstance(rule, list) else [rule])
            reasons = [f"must be of type {' or '.join(kinds)}"]
        case "required":
            missing = [name for name in cast("list[str]", rule) if name not in instance]
            reasons = [f'"{name}" property is missing and required' for name in missing]
        case "additionalProperties":
            known = cast("dict[str, Any]", error.schema).get("properties", {})
            reasons = [
                f'additional property "{name}" is not allowed' for name in instance if name not in known
            ]
        case "enum":
            allowed = ", ".join(f'"{value}"' if isinstance(value, str) else _plain(value) for value in rule)
            reasons = [f"must match one of the enum values [{allowed}]"]
        case "minimum" | "maximum":
            given = f'"{_number(instance)}"'
            reasons = [_bound(error.validator, _number(rule), cast("dict[str, Any]", error.schema))]
        case "multipleOf":
            given = f'"{_number(instance)}"'
            reasons = [f"must be a multiple of {_number(rule)}"]
        case "minLength":
            reasons = [f"string length must be greater or equal to {rule}"]
        case "maxLength":
            reasons = [f"string length must be lower or equal to {rule}"]
        case "pattern":
            reasons = [f"does not match pattern '{rule}'"]
        case _:
            reasons = [error.message]
    return [f"{place} : {reason}, given {given}" for reason in reasons]


def _bound(kind: str, rule: str, schema: Mapping[str, Any]) -> str:
    """Say which bound a number is beyond; juju/gojsonschema has the words of the two kinds of bounds the wrong way round."""
    word, exclusive = ("greater", "exclusiveMinimum") if kind == "minimum" else ("lower", "exclusiveMaximum")
    return f"must be {word} than {'or equal to ' if schema.get(exclusive) else ''}{rule}"


def _number(value: Any) -> str:
    """Return a number as that library writes it."""
    return str(int(value)) if value == int(value) else str(value)
