"""Actions, one module each: `actions/add_disk.py` of a charm holds what `add-disk` does.

Such a module has a frozen dataclass `Params` (the parameters, dashes as underscores) and a function
`run(charm, params)` that returns an `Outcome` or raises `ActionError` before it has changed anything.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

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


class Action(NamedTuple):
    """An action that several charms have: its parameters, and what does it, which is given whose action it is and these."""

    params: type[Any]
    run: Callable[[Any, Any], Outcome]


def perform(charm: ops.CharmBase, event: ops.ActionEvent) -> None:
    """Run the module of a charm's own action and report its outcome."""
    module = importlib.import_module(f"actions.{event.handle.kind.removesuffix('_action')}")
    carry_out(event, module.Params, partial(module.run, charm))


def carry_out(event: ops.ActionEvent, params_type: type[Any], run: Callable[[Any], Outcome]) -> None:
    """Run an action with its parameters and report its outcome."""
    texts = {field.name for field in fields(params_type) if field.type in {"str", str}}
    for key, value in event.params.items():
        if isinstance(value, int) and key.replace("-", "_") in texts:
            # Juju reads osd-ids=6 as a number where the schema lets it (`type: [string, integer]`).
            event.params[key] = str(value)
    params = event.load_params(params_type, errors="fail")
    try:
        outcome = run(params)
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
