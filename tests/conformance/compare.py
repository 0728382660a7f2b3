"""What must be equal between a recording and the engine, and what cannot be."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openinfra_model.core import HookContext, State, ToolResult

    from .recording import Dispatch, ToolCall

# Set by the shells and the machine, not by Juju.
MACHINE_VARIABLES = {"PWD", "PYTHONPATH", "SHLVL", "_"}
# Ids of a run, and Juju's controller and version: 4.0.14 in one recording, 4.0.15 in the others.
OWN_VALUES = {
    "JUJU_API_ADDRESSES",
    "JUJU_CONTEXT_ID",
    "JUJU_SECRET_ID",
    "JUJU_STORAGE_LOCATION",
    "JUJU_VERSION",
}
NORMALISED = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\d\d \w{3} \d{4} \d\d:\d\d:\d\dZ|\b\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"https://[0-9.]+:17070"), "CONTROLLER"),
    (re.compile(r"for application [^:]+:"), "for application APPLICATION:"),
)
_SUBORDINATE = re.compile(r"^sub/\d+$")
_SECRET = re.compile(r"\b[0-9a-v]{20}\b")


@dataclass
class Names:
    """The engine's names of the recording's secrets."""

    known: dict[str, str] = field(default_factory=dict)

    def translate(self, argv: list[str]) -> list[str]:
        return [self.renamed(word) for word in argv]

    def renamed(self, text: str) -> str:
        return _SECRET.sub(lambda match: self.known.get(match[0], match[0]), text)

    def learn(self, tool: ToolCall, stdout: str) -> None:
        if tool.command.startswith("secret-add") and tool.exit_code == 0:
            for recorded, ours in zip(_SECRET.findall(tool.output), _SECRET.findall(stdout), strict=True):
                self.known[recorded] = ours

    def back(self, text: str) -> str:
        recorded = {ours: name for name, ours in self.known.items()}
        return _SECRET.sub(lambda match: recorded.get(match[0], match[0]), text)


@dataclass(frozen=True)
class Situation:
    """What is so on the engine while a tool runs."""

    names: Names
    state: State
    unit: str
    previous: str
    joining: str

    def is_alive(self, name: str) -> bool:
        """Say whether a unit or an application is there and stays."""
        unit = self.state.units.get(name)
        return name in self.state.applications or (unit is not None and unit.life == "alive")

    def has_relation(self, endpoint: str) -> bool:
        """Say whether the unit's application has a relation on an endpoint."""
        application = self.state.units[self.unit].application
        return any(
            end.application == application and end.name == endpoint
            for relation in self.state.relations
            for end in relation.endpoints
        )


def normalised(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: normalised(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normalised(item) for item in value]
    if isinstance(value, str):
        for pattern, name in NORMALISED:
            value = pattern.sub(name, value)
    return value


def compare_environment(recorded: Dispatch, context: HookContext) -> Iterator[str]:
    expected = {key: value for key, value in recorded.environment.items() if key not in MACHINE_VARIABLES}
    found = dict(context.environment)
    if context.run.kind == "exec":
        expected.pop("JUJU_DISPATCH_PATH")
    if not recorded.directory:
        found = {key: value for key, value in found.items() if key.startswith("JUJU_") or key == "CHARM_DIR"}
    if expected.keys() != found.keys():
        yield f"variables {sorted(expected.keys() ^ found.keys())} are on one side only"
    for key in (expected.keys() & found.keys()) - OWN_VALUES:
        if expected[key] != found[key]:
            yield f"{key} is {found[key]!r}, recorded {expected[key]!r}"
    if recorded.directory and recorded.directory != context.working_directory:
        yield f"runs in {context.working_directory}, recorded {recorded.directory}"


def compare_tool(recorded: ToolCall, result: ToolResult, situation: Situation) -> Iterator[str]:
    """Yield how a tool's answer differs: exit code, output (parsed where it is JSON) and error text."""
    names = situation.names
    if recorded.exit_code != result.exit_code:
        yield f"exit code {result.exit_code} ({result.stderr.strip()}), recorded {recorded.exit_code}"
        return
    error = normalised(names.back(result.stderr.strip()))
    if normalised(recorded.error) != error:
        yield f"complained {error!r}, recorded {recorded.error!r}"
    if recorded.exit_code:
        return
    expected, output = recorded.output, names.back(result.stdout)
    if "--format=json" in recorded.argv:
        output = json.loads(output)
    elif recorded.stripped:
        output = output.strip()
    expected, output = normalised(expected), normalised(output)
    if recorded.argv[0] == "goal-state":
        yield from _compare_goal(expected, output, situation)
    elif recorded.argv[0] == "status-get" and "--application" in recorded.argv:
        yield from _compare_application_status(expected, output, situation)
    else:
        expected, output = _made_equal(recorded.argv, expected, output, situation)
        if expected != output:
            yield f"printed {output!r}, recorded {expected!r}"


def _made_equal(argv: list[str], expected: Any, output: Any, situation: Situation) -> tuple[Any, Any]:
    """Return a recorded and a found output without what cannot be equal."""
    if argv[0] == "secret-ids":
        # Juju lists them in any order.
        return sorted(expected or []), sorted(output or [])
    if argv[0] == "status-get" and expected["message"].startswith("after "):
        # The probe says so at the end of each hook: which came before may differ where hooks swap.
        return {**expected, "message": f"after {situation.previous}"}, output
    if argv[0] == "relation-get" and argv[-1] == situation.joining:
        # A unit that has just entered the relation may or may not have written to it yet.
        common = expected.keys() & output.keys()
        return {key: expected[key] for key in common}, {key: output[key] for key in common}
    return expected, output


def _compare_application_status(expected: Any, found: Any, situation: Situation) -> Iterator[str]:
    """The unit's own status is equal; others' depend on how far they were, and the application's with them."""
    expected, found = expected["application-status"], found["application-status"]
    yield from _compare_units(expected.pop("units"), found.pop("units"), situation)
    if expected.keys() != found.keys():
        yield f"printed {found!r}, recorded {expected!r}"


def _compare_goal(expected: Any, found: Any, situation: Situation) -> Iterator[str]:
    """Goals are equal, but Juju shows a relation or a unit that goes for some seconds after its end."""
    yield from _compare_units(expected["units"], found["units"], situation)
    relations, recorded = found["relations"], expected["relations"]
    for endpoint in recorded.keys() - relations.keys():
        if situation.has_relation(endpoint):
            yield f"lacks {endpoint}"
    for endpoint, members in relations.items():
        if endpoint not in recorded:
            yield f"has {endpoint} too"
        else:
            yield from _compare_units(recorded[endpoint], members, situation)


def _compare_units(expected: Any, found: Any, situation: Situation) -> Iterator[str]:
    for name in expected.keys() | found.keys():
        if name not in found:
            if situation.is_alive(name):
                yield f"lacks {name}"
        elif name not in expected:
            # Juju makes a subordinate's unit some seconds after its principal entered the relation.
            if not name.startswith("sub/"):
                yield f"has {name} too"
        elif name == situation.unit and expected[name] != found[name]:
            yield f"{name} is {found[name]!r}, recorded {expected[name]!r}"
        elif expected[name].keys() != found[name].keys():
            yield f"{name} has {sorted(found[name])}, recorded {sorted(expected[name])}"


# What changes with the leader, or holds text of the moment.
_PASSING = {"leader", "open-ports", "message", "charm-version", "version", "workload-version", "data"}


def shape(value: Any) -> Any:
    """Return which keys a structure has, and of which kind its values are.

    Which number a subordinate's unit has depends on which principal came first; which unit and machine
    an added storage is attached to, on who leads.
    """
    if isinstance(value, dict):
        if "attachments" in value:
            attachments = {kind: list(holders.values()) for kind, holders in value["attachments"].items()}
            value = {**value, "attachments": attachments}
        kept = {key: shape(item) for key, item in value.items() if key not in _PASSING}
        return {_SUBORDINATE.sub("sub/N", str(key)): item for key, item in kept.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


def compare_structure(expected: Any, found: Any, path: str = "") -> Iterator[str]:
    expected, found = normalised(expected), normalised(found)
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys(), key=str):
            if key not in expected or key not in found:
                yield f"{path}/{key} is only {'here' if key in found else 'recorded'}"
            else:
                yield from compare_structure(expected[key], found[key], f"{path}/{key}")
    elif expected != found:
        yield f"{path} is {found!r}, recorded {expected!r}"
