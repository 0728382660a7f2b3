"""Verbs on models and on the controller."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from openinfra_model import JUJU_VERSION
from openinfra_model.cli.client import CliError
from openinfra_model.cli.output import show, table, tell
from openinfra_model.cli.verb import argument, listed, output_format, pairs, verb
from openinfra_model.host import architecture

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from openinfra_model.cli.client import Client


@verb(output_format(), argument("--all", action="store_true", help="more than the version"))
def version(_: Client, arguments: argparse.Namespace) -> None:
    """Show which Juju this engine answers as."""
    name = f"{JUJU_VERSION}-genericlinux-{architecture()}"
    show({"version": name} if arguments.all else name, arguments.format, lambda _: name)


@verb(output_format())
def controllers(_: Client, arguments: argparse.Namespace) -> None:
    """Show the controller: there is one."""
    data = {
        "controllers": {
            "openinfra": {
                "cloud": "localhost",
                "agent-version": JUJU_VERSION,
                "user": "admin",
                "access": "superuser",
            }
        },
        "current-controller": "openinfra",
    }
    rows = [
        ("Controller", "User", "Access", "Cloud", "Version"),
        ("openinfra*", "admin", "superuser", "localhost", JUJU_VERSION),
    ]
    show(data, arguments.format, lambda _: table(rows))


@verb(output_format())
def models(client: Client, arguments: argparse.Namespace) -> None:
    """List the models."""
    data = client.call("models")

    def tabular(data: dict[str, Any]) -> str:
        rows = [("Model", "Cloud/Region", "Type", "Status", "Machines")]
        for model in data["models"]:
            name = model["short-name"]
            rows.append(
                (
                    f"{name}*" if name == data["current-model"] else name,
                    f"{model['cloud']}/{model['region']}",
                    model["type"],
                    model["status"]["current"],
                    str(len(model["machines"])),
                )
            )
        return table(rows, right=(4,))

    show(data, arguments.format, tabular)


@verb(
    argument("name"),
    argument("cloud", nargs="?", help="ignored: there is one cloud, this machine"),
    argument("--config", action="append", default=[], metavar="KEY=VALUE"),
    argument("--no-switch", action="store_true", help="keep the current model"),
    argument("-c", "--controller", help="ignored: there is one"),
    argument("--credential", help="ignored: none is needed"),
)
def add_model(client: Client, arguments: argparse.Namespace) -> None:
    """Add a model."""
    client.call(
        "add_model", name=arguments.name, config=pairs(arguments.config), switch=not arguments.no_switch
    )
    tell(f"Added '{arguments.name}' model on localhost/localhost")


@verb(argument("name", nargs="?", default=""))
def switch(client: Client, arguments: argparse.Namespace) -> None:
    """Choose the current model, or show it."""
    name = arguments.name.rpartition(":")[2].rpartition("/")[2]
    current = client.call("switch", name=name)
    if not current:
        raise CliError("no model is selected: add one with `openinfra add-model NAME`")
    print(f"openinfra:admin/{current}")


@verb(argument("name", nargs="?", default=""), output_format("yaml"))
def show_model(client: Client, arguments: argparse.Namespace) -> None:
    """Show a model."""
    wanted = arguments.name.rpartition(":")[2].rpartition("/")[2]
    show(replace(client, model=wanted or client.model).call("show_model"), arguments.format)


@verb(
    argument("name"),
    argument("--no-prompt", action="store_true", help="do not ask"),
    argument("--force", action="store_true", help="without the charms' hooks"),
    argument("--no-wait", action="store_true", help="do not wait for the end"),
    argument("--destroy-storage", action="store_true", help="accepted; storage goes with its machine"),
    argument("--release-storage", action="store_true", help="accepted; storage goes with its machine"),
    argument("-t", "--timeout", help="accepted; the command waits"),
)
def destroy_model(client: Client, arguments: argparse.Namespace) -> None:
    """Remove a model with all its machines and data."""
    name = arguments.name.rpartition(":")[2].rpartition("/")[2]
    if not arguments.no_prompt and not confirmed(
        f'This removes the model "{name}" with its machines and data.'
    ):
        raise CliError("aborted (use --no-prompt to skip the question)")
    replace(client, model=name).call("destroy_model", force=arguments.force, wait=not arguments.no_wait)


@verb(
    argument("settings", nargs="*", metavar="KEY[=VALUE]"),
    argument("--reset", action="append", default=[], metavar="KEY[,KEY]"),
    output_format(),
)
def model_config(client: Client, arguments: argparse.Namespace) -> None:
    """Show or set the model's options."""
    if arguments.reset:
        client.call("reset_model_config", names=listed(arguments.reset))
    if any("=" in word for word in arguments.settings):
        client.call("set_model_config", values=pairs(arguments.settings))
    elif not arguments.reset:
        _show_model_config(client.call("show_model_config"), arguments)


def confirmed(question: str) -> bool:
    """Ask the operator; without a terminal the answer is no."""
    sys.stderr.write(f"{question}\nContinue [y/N]? ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _show_model_config(data: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.settings:
        (key,) = arguments.settings
        if key not in data:
            raise CliError(f'key "{key}" not found in "{key}" model')
        print(data[key]["Value"])
        return
    rows = [
        ("Attribute", "From", "Value"),
        *((key, item["Source"], item["Value"]) for key, item in sorted(data.items())),
    ]
    show(data, arguments.format, lambda _: table(rows))
