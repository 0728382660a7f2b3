"""Verbs on the operator's secrets, and views of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_model.cli.client import CliError
from openinfra_model.cli.output import show, table
from openinfra_model.cli.verb import argument, listed, output_format, pairs, read_file, read_mapping, verb

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from openinfra_model.cli.client import Client

_CONTENT = argument("content", nargs="*", metavar="KEY[#base64|#file]=VALUE")
_FILE = argument("--file", metavar="PATH", help="YAML or JSON with the content")
_INFO = argument("--info", default="", help="a description")


@verb(argument("name"), _CONTENT, _FILE, _INFO)
def add_secret(client: Client, arguments: argparse.Namespace) -> None:
    """Add a secret and print its URI."""
    content = _content(arguments)
    if not content:
        raise CliError("missing secret value or filename")
    print(client.call("add_secret", name=arguments.name, content=content, description=arguments.info))


@verb(
    argument("secret", help="its URI or name"),
    _CONTENT,
    _FILE,
    _INFO,
    argument("--name", default="", help="a new name"),
    argument("--auto-prune", choices=("true", "false"), nargs="?", const="true"),
)
def update_secret(client: Client, arguments: argparse.Namespace) -> None:
    """Give a secret new content, a new name or description."""
    client.call(
        "update_secret",
        secret=arguments.secret,
        content=_content(arguments),
        name=arguments.name,
        description=arguments.info,
        auto_prune=None if arguments.auto_prune is None else arguments.auto_prune == "true",
    )


@verb(argument("secret"), argument("applications", metavar="APPLICATION[,APPLICATION]"))
def grant_secret(client: Client, arguments: argparse.Namespace) -> None:
    """Let applications read a secret."""
    client.call("grant_secret", secret=arguments.secret, application_names=listed([arguments.applications]))


@verb(argument("secret"), argument("applications", metavar="APPLICATION[,APPLICATION]"))
def revoke_secret(client: Client, arguments: argparse.Namespace) -> None:
    """Revoke the right of applications to read a secret."""
    client.call("revoke_secret", secret=arguments.secret, application_names=listed([arguments.applications]))


@verb(argument("secret"), argument("--revision", type=int))
def remove_secret(client: Client, arguments: argparse.Namespace) -> None:
    """Remove a secret, or one of its revisions."""
    client.call("remove_secret", secret=arguments.secret, revision=arguments.revision)


@verb(argument("--owner", default="", help="only of this owner"), output_format())
def secrets(client: Client, arguments: argparse.Namespace) -> None:
    """List the secrets."""
    data = client.call("show_secrets")
    if arguments.owner:
        data = {key: item for key, item in data.items() if item["owner"] == arguments.owner}

    def tabular(data: dict[str, Any]) -> str:
        rows = [("ID", "Name", "Owner", "Rotation", "Revision", "Last updated")]
        rows += [
            (
                key,
                item.get("name", "-"),
                item["owner"],
                item.get("rotation", "never"),
                str(item["revision"]),
                item["updated"],
            )
            for key, item in data.items()
        ]
        return table(rows, right=(4,))

    show(data, arguments.format, tabular)


@verb(
    argument("secret"),
    argument("--reveal", action="store_true", help="with the content"),
    argument("--revision", "-r", type=int),
    argument("--revisions", action="store_true", help="with the revisions"),
    output_format("yaml"),
)
def show_secret(client: Client, arguments: argparse.Namespace) -> None:
    """Show a secret."""
    data = client.call(
        "show_secret", secret=arguments.secret, reveal=arguments.reveal, revision=arguments.revision
    )
    show(data, arguments.format)


def _content(arguments: argparse.Namespace) -> dict[str, str]:
    """Read a secret's content from words and a file; `KEY#file=PATH` is a file's text."""
    content: dict[str, str] = {}
    for key, value in pairs(arguments.content).items():
        name, _, kind = key.partition("#")
        if kind == "file":
            content[name] = read_file(value)
        else:
            content[key] = value
    if arguments.file:
        content |= {key: str(value) for key, value in read_mapping(arguments.file).items()}
    return content
