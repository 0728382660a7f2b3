"""Verbs that run actions and commands on units, and show what became of them."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

from openinfra_model.cli.client import CliError
from openinfra_model.cli.output import show, table, tell
from openinfra_model.cli.verb import argument, listed, output_format, read_mapping, seconds, verb
from openinfra_model.document import DocumentError, value_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from openinfra_model.cli.client import Client

_RUN_SECONDS = 60.0
_EXEC_SECONDS = 300.0


@verb(
    argument("words", nargs="+", metavar="UNIT... ACTION [KEY=VALUE]..."),
    argument("--background", action="store_true", help="do not wait"),
    argument("--params", metavar="FILE", help="parameters as YAML"),
    argument("--string-args", action="store_true", help="take every value as a string"),
    argument("--wait", type=seconds, default=_RUN_SECONDS, metavar="DURATION"),
    output_format(),
)
def run(client: Client, arguments: argparse.Namespace) -> int:
    """Run an action on units (APPLICATION/N or APPLICATION/leader)."""
    units = [word for word in arguments.words if "/" in word.partition("=")[0]]
    action, *settings = arguments.words[len(units) :] or [""]
    if not units or not action or arguments.words[: len(units)] != units:
        raise CliError("no action specified: name units, then the action, then KEY=VALUE")
    operation = client.call(
        "enqueue_action", unit_names=units, action=action, parameters=_parameters(arguments, settings)
    )
    if arguments.background:
        tell(f"Scheduled operation {operation}\nCheck it with `openinfra show-operation {operation}`")
        return 0
    return _report(client, operation, arguments.wait, arguments.format)


@verb(
    argument("-u", "--unit", "--units", action="append", default=[], metavar="UNIT[,UNIT]"),
    argument("-a", "--application", "--app", action="append", default=[], metavar="APPLICATION"),
    argument("--machine", action="append", default=[], metavar="MACHINE[,MACHINE]"),
    argument("--all", action="store_true", help="every machine"),
    argument(
        "--parallel",
        choices=("true", "false"),
        default="true",
        help="run beside other commands on the machine",
    ),
    argument("--wait", type=seconds, default=_EXEC_SECONDS, metavar="DURATION"),
    argument("--operator", action="store_true", help="Kubernetes only"),
    output_format(),
    argument("command", nargs="..."),
    passes_on=True,
)
def _exec(client: Client, arguments: argparse.Namespace) -> int:
    """Run a shell command where a charm's hooks run, or on machines."""
    words = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    # a single word is shell text; several are a command whose words are kept apart
    command = words[0] if len(words) == 1 else shlex.join(words)
    if not command:
        raise CliError("no commands specified")
    units = listed(arguments.unit) + _units_of(client, arguments.application)
    machines = listed(arguments.machine) or (list(client.call("status")["machines"]) if arguments.all else [])
    if not units and not machines:
        raise CliError("You must specify a target, either through --all, --machine, --application or --unit")
    if machines:
        shown = {
            machine: client.call("execute", machine=machine, command=command, seconds=arguments.wait)
            for machine in machines
        }
        return _show_tasks({name: {"id": name, **task} for name, task in shown.items()}, arguments.format)
    operation = client.call(
        "enqueue_exec",
        unit_names=units,
        command=command,
        timeout=arguments.wait,
        parallel=arguments.parallel == "true",
    )
    return _report(client, operation, arguments.wait, arguments.format)


@verb(
    argument("application"),
    argument("--schema", action="store_true", help="with the parameters"),
    output_format(),
)
def actions(client: Client, arguments: argparse.Namespace) -> None:
    """List an application's actions."""
    form = "yaml" if arguments.schema and arguments.format == "tabular" else arguments.format
    data = client.call("show_actions", application=arguments.application, schema=arguments.schema)
    show(data, form, lambda data: table([("Action", "Description"), *data.items()]))


@verb(output_format())
def operations(client: Client, arguments: argparse.Namespace) -> None:
    """List the operations."""
    show(client.call("show_operations"), arguments.format, _operations_table)


@verb(argument("operation"), output_format("yaml"))
def show_operation(client: Client, arguments: argparse.Namespace) -> None:
    """Show an operation with its tasks."""
    show(client.call("show_operation", operation=arguments.operation), arguments.format)


@verb(argument("task"), output_format("yaml"))
def show_task(client: Client, arguments: argparse.Namespace) -> None:
    """Show a task's results."""
    show(client.call("show_task", task=arguments.task), arguments.format)


@verb(argument("tasks", nargs="+", metavar="task"))
def cancel_task(client: Client, arguments: argparse.Namespace) -> None:
    """Cancel tasks that wait or run."""
    for task in arguments.tasks:
        client.call("cancel_task", task=task)


def _report(client: Client, operation: str, wait: float, form: str) -> int:
    """Wait for an operation, show its tasks, and return the exit code."""
    answer = client.call("wait_for_operation", operation=operation, seconds=wait)
    code = _show_tasks(answer["tasks"], form)
    if answer["ended"]:
        return code
    late = [
        f"unit {name}" for name, task in answer["tasks"].items() if task["status"] in {"pending", "running"}
    ]
    raise CliError(f"timed out waiting for results from: {', '.join(late)}")


def _show_tasks(tasks: Mapping[str, Mapping[str, Any]], form: str) -> int:
    """Show tasks as `juju run` does; the exit code tells whether a process failed, not an action that says so."""
    if form == "tabular":
        _print_results(tasks)
    else:
        show(tasks, form)
    failed = [task for task in tasks.values() if task.get("results", {}).get("return-code")]
    if not failed:
        return 0
    lines = "\n".join(
        f' - id "{task["id"]}" with return code {task["results"]["return-code"]}' for task in failed
    )
    tell(f"ERROR the following task failed:\n{lines}\n\nuse 'openinfra show-task' to inspect the failure")
    return 1


def _print_results(tasks: Mapping[str, Mapping[str, Any]]) -> None:
    for name, task in tasks.items():
        if len(tasks) > 1:
            print(f"{name}:")
        results = dict(task.get("results", {}))
        sys.stdout.write(results.pop("stdout", ""))
        sys.stdout.flush()
        sys.stderr.write(results.pop("stderr", ""))
        results.pop("return-code", None)
        for line in task.get("log", []):
            tell(line)
        if task["status"] in {"failed", "error"}:
            tell(f"Action id {task['id']} failed: {task.get('message', '')}")
        if results:
            show(results, "yaml")


def _parameters(arguments: argparse.Namespace, settings: list[str]) -> dict[str, Any]:
    """Read an action's parameters: a file's, then `a.b=VALUE` words with YAML values."""
    try:
        parameters: dict[str, Any] = read_mapping(arguments.params) if arguments.params else {}
        for setting in settings:
            name, separator, text = setting.partition("=")
            if not separator:
                raise CliError(f'argument "{setting}" must be of the form key.key.key...=value')
            *path, last = name.split(".")
            place = parameters
            for key in path:
                place = place.setdefault(key, {})
            place[last] = text if arguments.string_args else value_of(text)
    except DocumentError as error:
        raise CliError(f"cannot read the parameters: {error}") from error
    return parameters


def _units_of(client: Client, applications: list[str]) -> list[str]:
    if not applications:
        return []
    shown = client.call("status")["applications"]
    for name in applications:
        if name not in shown:
            raise CliError(f'application "{name}" not found')
    return [unit for name in applications for unit in shown[name].get("units", {})]


def _operations_table(data: Mapping[str, Any]) -> str:
    rows = [("ID", "Status", "Summary")]
    rows += [(number, item["status"], item["summary"]) for number, item in data.items()]
    return table(rows)
