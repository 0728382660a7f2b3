"""How a verb of the command line is declared."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from openinfra_model.cli.client import Client, CliError
from openinfra_model.cli.output import FORMATS
from openinfra_model.document import DocumentError
from openinfra_model.document import parse as parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openinfra_model.document import Json

Run: TypeAlias = Callable[[Client, argparse.Namespace], int | None]
Argument: TypeAlias = tuple[tuple[str, ...], dict[str, Any]]

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_USAGE_ERROR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A verb; with `passes_on`, everything after its own arguments belongs to another program."""

    run: Run
    arguments: tuple[Argument, ...]
    passes_on: bool = False


VERBS: dict[str, Verb] = {}


def argument(*names: str, **options: Any) -> Argument:
    """Describe an argument, as argparse's `add_argument` takes it."""
    return names, options


def output_format(default: str = "tabular") -> Argument:
    """Describe `--format`."""
    return argument("--format", choices=FORMATS, default=default)


def verb(*arguments: Argument, passes_on: bool = False) -> Callable[[Run], Run]:
    """Declare a function as the verb of its name; its docstring is the verb's help."""

    def register(run: Run) -> Run:
        name = run.__name__.strip("_").replace("_", "-")
        VERBS[name] = Verb(run=run, arguments=arguments, passes_on=passes_on)
        return run

    return register


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Refuse as Juju does."""
        sys.stderr.write(f"ERROR {message}\n")
        sys.exit(_USAGE_ERROR)


def parse(name: str, chosen: Verb, words: list[str]) -> argparse.Namespace:
    """Read a verb's command line."""
    parser = _Parser(prog=f"openinfra {name}", description=chosen.run.__doc__, allow_abbrev=False)
    parser.add_argument("-m", "--model", default="", help="the model, when it is not the current one")
    for names, options in chosen.arguments:
        parser.add_argument(*names, **options)
    if chosen.passes_on:
        return parser.parse_args(words)
    return parser.parse_intermixed_args(words)


def seconds(text: str) -> float:
    """Read a duration as Go writes it (`90s`, `1m30s`), or a plain number of seconds."""
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f'invalid duration "{text}": write it as 90s or 1m30s')
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def pairs(words: Iterable[str]) -> dict[str, str]:
    """Read `key=value` words; a value `@PATH` is a file's content.

    Raises:
        CliError: a word has no `=`, or a file cannot be read.
    """
    read: dict[str, str] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not separator or not key:
            raise CliError(f'expected "key=value", got "{word}"')
        read[key] = read_file(value[1:]) if value.startswith("@") else value
    return read


def read_file(path: str) -> str:
    """Read a text file (`-` is standard input).

    Raises:
        CliError: it cannot be read.
    """
    if path == "-":
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise CliError(f"cannot read {path!r}: {error.strerror}") from error


def read_mapping(path: str) -> dict[str, Json]:
    """Read a YAML file of keys and values as Juju does, where `10:30` and a date are words; an empty one has none.

    Raises:
        CliError: it cannot be read, or is something else.
    """
    try:
        documents = parse_yaml(read_file(path), path)
    except DocumentError as error:
        raise CliError(str(error)) from error
    found = documents[0].plain() if documents else {}
    if not isinstance(found, dict):
        raise CliError(f"{path}: expected keys with values")
    return found


def listed(words: Iterable[str]) -> list[str]:
    """Split words at commas."""
    return [part for word in words for part in word.split(",") if part]


def absolute(path: str) -> str:
    """Make a path independent of the working directory: the controller has another one."""
    return str(Path(path).absolute())
