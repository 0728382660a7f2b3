"""Actions: what `add-disk` does is in the charm's package `actions`, in one of two forms.

Small actions are functions, several in a module: `actions/pools.py` has `create_pool(charm, *, name: str, replicas: int = 0)`,
whose arguments are the action's parameters. One that needs room has a module of its own, `actions/add_disk.py`, with a frozen
dataclass `Params` (the parameters, dashes as underscores) and a function `run(charm, params)`. Both return an `Outcome` or raise
`ActionError` before they have changed anything.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from dataclasses import dataclass, field, fields, make_dataclass
from typing import TYPE_CHECKING, Any, Protocol

from openinfra_charm.values import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ops


class ActionError(Exception):
    """The action was refused or failed; the message tells the operator why, and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What an action reports: a sentence for people, data (JSON) for programs, and texts that either saves as a file."""

    summary: str
    result: Any = None
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Each is a result of its own, as it is: under a name of `[a-z0-9-]`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoParams:
    """The parameters of an action that takes none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """An action of a charm: a dataclass of its parameters, and what it does with them."""

    params: type[Any]
    run: Callable[[Any, Any], Outcome]


def find(name: str) -> Action:
    """Return an action of the charm by its name, with underscores.

    Raises:
        LookupError: The charm has none of that name.
    """
    try:
        own = importlib.import_module(f"actions.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"actions.{name}":
            raise
        return _of_function(_function(name))
    return Action(params=own.Params, run=own.run)


def _function(name: str) -> Callable[..., Outcome]:
    package = importlib.import_module("actions")
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"actions.{found.name}")
        function = getattr(module, name, None)
        # What a module imports is another one's.
        if inspect.isfunction(function) and function.__module__ == module.__name__:
            return function
    raise LookupError(f"there is no action {name} in {list(package.__path__)}")


def _of_function(function: Callable[..., Outcome]) -> Action:
    """Return the action that is a function: its arguments after the charm are the parameters."""
    _, *arguments = inspect.signature(function).parameters.values()
    given = [
        (one.name, one.annotation, field() if one.default is one.empty else field(default=one.default))
        for one in arguments
    ]
    params = make_dataclass("Params", given, frozen=True, kw_only=True)
    return Action(params=params, run=lambda charm, values: function(charm, **vars(values)))


def perform(charm: ops.CharmBase, event: ops.ActionEvent) -> None:
    """Run an action of the charm's own and report its outcome."""
    carry_out(find(event.handle.kind.removesuffix("_action")), charm, event)


def carry_out(action: Action, whose: object, event: ops.ActionEvent) -> None:
    """Run an action on whose it is, the charm or a component of it, and report its outcome."""
    texts = {field.name for field in fields(action.params) if field.type in {"str", str}}
    for key, value in event.params.items():
        if isinstance(value, int) and key.replace("-", "_") in texts:
            # Juju reads osd-ids=6 as a number where the schema lets it (`type: [string, integer]`).
            event.params[key] = str(value)
    params = event.load_params(action.params, errors="fail")
    try:
        outcome = action.run(whose, params)
    except ActionError as error:
        event.fail(str(error))
        return
    results = {"summary": outcome.summary, **outcome.texts}
    if outcome.result is not None:
        results["result"] = json.dumps(outcome.result, sort_keys=True)
    event.set_results(results)


def size(option: str, text: str) -> int:
    """Return the bytes of a size that an operator gave for a parameter; 0 for none.

    Raises:
        ActionError: It is no size.
    """
    found = parse_size(text) if text else 0
    if found is None:
        raise ActionError(f"{option}={text}: expected a size such as 10G")
    return found


class InModel(Protocol):
    """A charm, as far as it says where it runs."""

    @property
    def unit(self) -> ops.Unit:
        """The unit that it runs in."""
        ...

    @property
    def app(self) -> ops.Application:
        """The application that it belongs to."""
        ...


def require_leader(charm: InModel, action: str) -> None:
    """Refuse an action that only the leader can carry out.

    Raises:
        ActionError: This unit is not the leader.
    """
    if not charm.unit.is_leader():
        raise ActionError(f"only the leader can do this: juju run {charm.app.name}/leader {action}")
