"""Actions: `create-pool` is the function `create_pool(charm, *, name: str, replicas: int = 0)` in a charm's package `actions`.

Its arguments after the charm are the action's parameters. It returns an `Outcome`, or raises `ActionError` before it has changed
anything.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import ops

from openinfra_charm.model.status import NeedsOperatorError
from openinfra_charm.values import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping


class ActionError(Exception):
    """The action was refused or failed; the message tells the operator why, and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What an action reports: a sentence for people, data (JSON) for programs, and texts that either saves as a file."""

    summary: str
    result: Any = None
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Each is a result of its own, as it is: under a name of `[a-z0-9-]`."""


class Actions(ops.Object):
    """Runs the actions that a charm declares, and reports their outcomes.

    Args:
        charm: The charm.
        shared: Functions that are no part of its package, by the names of the actions; all their arguments are parameters.
    """

    def __init__(
        self, charm: ops.CharmBase, shared: Mapping[str, Callable[..., Outcome]] = MappingProxyType({})
    ) -> None:
        super().__init__(charm, "actions")
        self._charm = charm
        self._shared = shared
        for name in charm.meta.actions:
            self.framework.observe(charm.on[name].action, self._on_action)

    def _on_action(self, event: ops.ActionEvent) -> None:
        name = event.handle.kind.removesuffix("_action")
        run = self._shared.get(name.replace("_", "-")) or partial(find(name), self._charm)
        given = {key.replace("-", "_"): value for key, value in event.params.items()}
        for parameter in inspect.signature(run).parameters.values():
            if parameter.annotation in {"str", str} and parameter.name in given:
                # Juju reads osd-ids=6 as a number where the schema lets it (`type: [string, integer]`).
                given[parameter.name] = str(given[parameter.name])
        try:
            outcome = run(**given)
        except (ActionError, NeedsOperatorError) as error:
            event.fail(str(error))
            return
        results = {"summary": outcome.summary, **outcome.texts}
        if outcome.result is not None:
            results["result"] = json.dumps(outcome.result, sort_keys=True)
        event.set_results(results)


def find(name: str) -> Callable[..., Outcome]:
    """Return an action of the charm by its name, with underscores.

    Raises:
        LookupError: The charm has none of that name.
    """
    package = importlib.import_module("actions")
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"actions.{found.name}")
        function = getattr(module, name, None)
        # What a module imports is another one's.
        if inspect.isfunction(function) and function.__module__ == module.__name__:
            return function
    raise LookupError(f"there is no action {name} in {list(package.__path__)}")


@contextmanager
def failing_on(*errors: type[Exception], words: str = "{}") -> Generator[None]:
    """Turn errors into the action's failure; in `words` the error stands in the place of the braces.

    Raises:
        ActionError: There was one of them.
    """
    try:
        yield
    except errors as error:
        raise ActionError(words.replace("{}", str(error))) from error


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
