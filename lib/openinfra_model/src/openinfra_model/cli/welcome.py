"""What a cloud that has just come up tells its users: where it is, and how they log in.

A bundle says it by an annotation of an application, `show: ACTION`: the action is run on the application's leader, and
what it gives is printed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from openinfra_model.cli.client import CliError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from openinfra_model.bundle import Bundle
    from openinfra_model.cli.client import Client

ANNOTATION = "show"
_SECONDS = 60.0
_OUTPUT = frozenset({"return-code", "stdout", "stderr"})
"""What Juju adds to an action's results."""


def welcome(client: Client, bundle: Bundle) -> Iterator[str]:
    """Yield a text for each application that has something to tell, or why it cannot."""
    for name, application in bundle.applications.items():
        if action := application.annotations.get(ANNOTATION):
            command = f"./openinfra run {name}/leader {action}"
            try:
                results = _results(client, f"{name}/leader", action)
            except CliError as error:
                yield f"$ {command}\n{error}"
            else:
                yield f"$ {command}\n{_text(results)}"


def _results(client: Client, unit: str, action: str) -> Mapping[str, Any]:
    operation = client.call("enqueue_action", unit_names=[unit], action=action, parameters={})
    answer = client.call("wait_for_operation", operation=operation, seconds=_SECONDS)
    (task,) = answer["tasks"].values()
    if task["status"] != "completed":
        raise CliError(task.get("message") or f"it is {task['status']} after {_SECONDS:.0f} s")
    return task["results"]


def _text(results: Mapping[str, Any]) -> str:
    """Return an action's results as people read them: the summary, then the values, texts of several lines as they are."""
    rest = {key: value for key, value in results.items() if key not in _OUTPUT}
    lines = [str(rest.pop("summary", ""))]
    result: Any = json.loads(rest.pop("result", "{}"))
    fields = cast("dict[str, Any]", result) if isinstance(result, dict) else {"result": result}
    for key, value in (rest | fields).items():
        text = value if isinstance(value, str) else json.dumps(value)
        lines.append(f"{key}:\n{text.rstrip()}" if "\n" in text else f"{key}: {text}")
    return "\n".join(filter(None, lines))
