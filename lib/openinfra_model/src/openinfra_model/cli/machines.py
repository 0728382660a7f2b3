"""Verbs on machines."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_model.cli.client import CliError
from openinfra_model.cli.output import show, tell
from openinfra_model.cli.status_table import machines_table
from openinfra_model.cli.verb import argument, output_format, verb
from openinfra_model.machines.daemon import lxd_directory

if TYPE_CHECKING:
    import argparse

    from openinfra_model.cli.client import Client

_USER_ID = "1000"  # of `ubuntu`, the first user of an image


@verb(
    argument("placement", nargs="?", help="not supported: machines are containers of this host"),
    argument("-n", type=int, default=1),
    argument("--base", default="ubuntu@24.04"),
    argument("--constraints", action="append", default=[], metavar="KEY=VALUE"),
    argument("--disks", help="not supported"),
)
def add_machine(client: Client, arguments: argparse.Namespace) -> None:
    """Add machines."""
    if arguments.placement or arguments.disks:
        raise CliError("machines are containers of this host: placements and --disks are not supported")
    for _ in range(arguments.n):
        machine = client.call("add_machine", base=arguments.base, constraints=" ".join(arguments.constraints))
        tell(f"created machine {machine}")


@verb(
    argument("machines", nargs="+", metavar="machine"),
    argument("--force", action="store_true", help="with its units, without their hooks"),
    argument("--no-prompt", action="store_true", help="accepted; nothing is asked"),
    argument("--keep-instance", action="store_true", help="not supported"),
)
def remove_machine(client: Client, arguments: argparse.Namespace) -> None:
    """Remove machines."""
    if arguments.keep_instance:
        raise CliError("--keep-instance is not supported: a machine is removed with its container")
    for machine in arguments.machines:
        client.call("remove_machine", machine=machine, force=arguments.force)
        tell(f"will remove machine {machine}")


@verb(output_format())
def machines(client: Client, arguments: argparse.Namespace) -> None:
    """List the machines."""
    status = client.call("status")
    data = {"model": status["model"]["name"], "machines": status["machines"]}
    show(data, arguments.format, lambda data: machines_table(data["machines"]))


@verb(
    argument("--no-host-key-checks", action="store_true", help="accepted; no network is involved"),
    argument("--container", help="Kubernetes only"),
    argument("target", metavar="[USER@]TARGET", help="a machine or a unit (APPLICATION/leader)"),
    argument("command", nargs="...", help="instead of a login"),
    passes_on=True,
)
def ssh(client: Client, arguments: argparse.Namespace) -> int:
    """Log in to a machine, or run a command there, as user `ubuntu` who may use sudo."""
    user, _, target = arguments.target.rpartition("@")
    words = ["su", "--login", user or "ubuntu"]
    command = _without_options(arguments.command)
    if command:
        words += ["--command", " ".join(command)]
    return subprocess.run(
        ["lxc", "exec", _instance(client, target), "--", *words], env=_environment(client), check=False
    ).returncode


@verb(
    argument("--no-host-key-checks", action="store_true", help="accepted; no network is involved"),
    argument("--container", help="Kubernetes only"),
    argument("files", nargs="...", metavar="[TARGET:]PATH"),
    passes_on=True,
)
def scp(client: Client, arguments: argparse.Namespace) -> int:
    """Copy files or directories to or from a machine or unit."""
    files = [word for word in arguments.files if not word.startswith("-")]
    if len(files) != 2:  # noqa: PLR2004 - from and to
        raise CliError(f"name one source and one destination, got {shlex.join(files)!r}")
    source, destination = files
    if ":" in destination:
        # a single file becomes the user's; LXD copies directories with their owners only
        owned = ["--recursive"] if Path(source).is_dir() else ["--uid", _USER_ID, "--gid", _USER_ID]
        command = ["push", *owned, source, _remote(client, destination)]
    else:
        command = ["pull", "--recursive", _remote(client, source), destination]
    return subprocess.run(["lxc", "file", *command], env=_environment(client), check=False).returncode


def _remote(client: Client, place: str) -> str:
    """Translate `TARGET:PATH` to LXD's words; a relative path is below the user's home."""
    target, _, path = place.partition(":")
    return f"{_instance(client, target)}{os.path.join('/home/ubuntu', path)}"  # noqa: PTH118 - keeps a final slash


def _instance(client: Client, target: str) -> str:
    application, separator, unit = target.partition("/")
    if separator and unit == "leader":
        target = client.call("leader", application=application)
    return client.call("instance", target=target)


def _without_options(words: list[str]) -> list[str]:
    """Drop ssh's own options before the command: there is no ssh here."""
    while words and words[0].startswith("-"):
        words = words[2 if words[0] in {"-o", "-i", "-p", "-l", "-F"} else 1 :]
    return words


def _environment(client: Client) -> dict[str, str]:
    return {**os.environ, "LXD_DIR": str(lxd_directory(client.paths))}
