"""The command line: Juju's words and formats, the cloud up and down, and a developer's tools."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Which module knows which verb: only that one is imported.
MODULES: Mapping[str, tuple[str, ...]] = {
    "cloud": ("up", "down"),
    "models": (
        "add-model", "controllers", "destroy-model", "model-config", "models", "show-model", "switch", "version",
    ),
    "applications": (
        "add-unit", "attach-resource", "bind", "config", "constraints", "deploy", "expose", "integrate", "refresh",
        "relate", "remove-application", "remove-relation", "remove-unit", "resolved", "resources",
        "set-constraints", "show-application", "trust", "unexpose",
    ),
    "machines": ("add-machine", "machines", "remove-machine", "scp", "ssh"),
    "operations": ("actions", "cancel-task", "exec", "operations", "run", "show-operation", "show-task"),
    "developer": ("pack", "relock", "graph", "test"),
    "rehearsal": ("rehearse",),
    "secrets": (
        "add-secret", "grant-secret", "remove-secret", "revoke-secret", "secrets", "show-secret", "update-secret",
    ),
    "storage": ("add-storage", "detach-storage", "remove-storage", "storage"),
    "views": ("debug-log", "show-status-log", "show-unit", "status", "watch"),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in MODULES.items() for name in names}

_USAGE_ERROR = 2


def main() -> None:
    """Run one verb; refusals go to standard error as `ERROR ...` with exit code 1."""
    name, *words = sys.argv[1:] or ["help"]
    if name in {"help", "--help", "-h"}:
        sys.stdout.write(_overview())
    elif name in _MODULE_OF:
        sys.exit(_run(name, words))
    else:
        sys.stderr.write(
            f'ERROR unrecognized command: openinfra {name}\nSee "openinfra help" for the verbs.\n'
        )
        sys.exit(_USAGE_ERROR)


def _run(name: str, words: Sequence[str]) -> int:
    from openinfra_model.cli.client import Client, CliError
    from openinfra_model.cli.verb import VERBS, parse

    importlib.import_module(f"openinfra_model.cli.{_MODULE_OF[name]}")
    arguments = parse(name, VERBS[name], list(words))
    # CONTROLLER:USER/MODEL is how Juju names a model of another; here there is one controller and one user.
    model = (arguments.model or os.environ.get("JUJU_MODEL", "")).rpartition(":")[2].rpartition("/")[2]
    try:
        return VERBS[name].run(Client(model), arguments) or 0
    except CliError as error:
        sys.stderr.write(f"ERROR {error}\n")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who read our answer has enough of it
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
    return 1


def _overview() -> str:
    groups = "\n".join(f"  {module + ':':14}{', '.join(sorted(names))}" for module, names in MODULES.items())
    return f"Usage: openinfra VERB [ARGUMENTS]\n\n{groups}\n\n`openinfra VERB --help` tells more.\n"
