"""What all hook tools have in common: options, output formats, the call and its result."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import yaml

from openinfra_model.core.errors import UsageError
from openinfra_model.document import DocumentError, Problems
from openinfra_model.document import parse as parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_model.core.context import RunningHook
    from openinfra_model.core.entities import Application, Resource, Unit
    from openinfra_model.core.state import State

FORMATS = ("json", "smart", "yaml")
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolResult:
    """What a tool printed, and what the caller has to do for it.

    Args:
        exit_code: 0, 1 for a refusal, 2 for misuse.
        stdout: as printed.
        stderr: as printed.
        log: a level and a message for the unit's log.
        resource: a file to put where stdout says, before the tool returns.
        reboot: the hook is to be ended now, abandoned, and the machine rebooted.
    """

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""
    log: tuple[str, str] | None = None
    resource: Resource | None = None
    reboot: bool = False


@dataclass(kw_only=True, slots=True)
class Arguments:
    """A parsed command line: options with a value, switches, and the words that are neither."""

    format: str
    values: dict[str, str] = field(default_factory=dict[str, str])
    switches: set[str] = field(default_factory=set[str])
    words: list[str] = field(default_factory=list[str])

    def word(self, index: int) -> str:
        """Return a word, empty where there are fewer."""
        return self.words[index] if index < len(self.words) else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A tool called in the context of a running hook."""

    state: State
    running: RunningHook
    arguments: Arguments
    stdin: str
    now: float

    @property
    def unit(self) -> Unit:
        """The unit whose hook runs."""
        return self.state.units[self.running.unit]

    @property
    def application(self) -> Application:
        """That unit's application."""
        return self.state.applications[self.unit.application]

    @property
    def is_leader(self) -> bool:
        """Whether that unit leads it."""
        return self.application.leader == self.running.unit


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A tool: what it does and its options. `aliases` maps short names to long ones."""

    run: Callable[[Call], Any]
    values: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict[str, str])
    format: str = ""


def parse(tool: Tool, arguments: list[str]) -> Arguments:
    """Read a command line as Juju's gnuflag does: options anywhere, `--` ends them.

    Raises:
        UsageError: if there is an option that the tool has not, or a value that does not fit.
    """
    found = Arguments(format=tool.format)
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            found.words.extend(rest)
            break
        if word == "-" or not word.startswith("-"):
            found.words.append(word)
            continue
        written, equals, value = word.lstrip("-").partition("=")
        name = tool.aliases.get(written, written)
        if name in tool.switches:
            if _boolean(written, value) if equals else True:
                found.switches.add(name)
        elif name in tool.values or (name == "format" and tool.format):
            if not equals:
                if not rest:
                    raise UsageError(f"option needs an argument: {word}")
                value = rest.pop(0)
            found.values[name] = value
        else:
            raise UsageError(f"option provided but not defined: {word.partition('=')[0]}")
    found.format = _format(found)
    return found


def _boolean(name: str, text: str) -> bool:
    if text not in (*_TRUE, *_FALSE):
        raise UsageError(
            f'invalid value "{text}" for option --{name}: strconv.ParseBool: parsing "{text}": invalid syntax'
        )
    return text in _TRUE


def _format(found: Arguments) -> str:
    wanted = found.values.get("format", found.format)
    if wanted and wanted not in FORMATS:
        raise UsageError(f'invalid value "{wanted}" for option --format: unknown format "{wanted}"')
    return wanted


def render(value: Any, form: str) -> str:
    """Return what a tool prints. Smart output is text for text, one line for each item of a list, else YAML."""
    if form == "json":
        return (
            json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=isinstance(value, dict))
            + "\n"
        )
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool) and form == "smart":
        return f"{value}\n"
    if isinstance(value, str) and form != "yaml":
        return f"{value}\n"
    if isinstance(value, list) and form == "smart":
        return "".join(f"{item}\n" for item in cast("list[Any]", value))
    text = yaml.safe_dump(value, sort_keys=False, default_flow_style=False)
    return text.removesuffix("...\n")


def settings(call: Call, words: list[str]) -> dict[str, str]:
    """Return KEY=VALUE words over what `--file -` gives on standard input.

    Raises:
        UsageError: if a word or the input is something else.
    """
    found: dict[str, str] = {}
    if "file" in call.arguments.values:
        problems = Problems()
        try:
            for document in parse_yaml(call.stdin, "--file"):
                content = problems.mapping(document, "settings")
                found |= {key: problems.text(value, key) for key, value in content.items()}
            problems.raise_if_any()
        except DocumentError as error:
            raise UsageError(f"cannot parse the settings given with --file: {error}") from error
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f'expected "key=value", got "{word}"')
        found[key] = value
    return found


def require_words(call: Call, least: int, most: int | None, what: str) -> None:
    """Check how many words were given.

    Raises:
        UsageError: if there are fewer or more.
    """
    words = call.arguments.words
    if len(words) < least:
        raise UsageError(f"no {what} specified")
    if most is not None and len(words) > most:
        extra = ", ".join(f'"{word}"' for word in words[most:])
        raise UsageError(f"unrecognized args: [{extra.replace(', ', ' ')}]")
