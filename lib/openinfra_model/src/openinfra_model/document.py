"""YAML whose every value knows its place, read the way Juju reads it.

Juju is written in Go and reads YAML 1.1 with gopkg.in/yaml.v2: `y`, `n`, `on` and `off` are booleans, dates stay
strings, and where Go wants a string any scalar serves, as it was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

Scalar: TypeAlias = "bool | int | float | str | None"
Json: TypeAlias = "Scalar | list[Json] | dict[str, Json]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where something stands; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A value of a document.

    `text` is a scalar as it was written; `key_place` is the place of the key that leads to the value (of the
    value itself in a list); `key_is_string` tells whether YAML reads that key as a string.
    """

    value: Scalar | dict[str, Node] | list[Node]
    text: str
    place: Place
    key_place: Place
    key_is_string: bool = True

    def plain(self) -> Json:
        """Return the value without its places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def walk(self) -> Iterator[Node]:
        """Yield this node and every node below it."""
        yield self
        children: Collection[Node] = ()
        if isinstance(self.value, dict):
            children = self.value.values()
        elif isinstance(self.value, list):
            children = self.value
        for child in children:
            yield from child.walk()


class DocumentError(Exception):
    """A document is not what it has to be; the message lists every problem as `file:line:column: what`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _GoLoader(yaml.SafeLoader):
    """YAML 1.1 as far as Go's yaml.v2 follows it: no dates, no base-60 numbers, one-letter booleans."""


_BOOLEANS = {
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
}
# What a plain scalar is: the tag, the whole pattern, the characters that it can begin with.
_PLAIN_SCALARS = (
    ("bool", "|".join(_BOOLEANS), "yYnNtTfFoO"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", "-+0123456789."),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("merge", "<<", "<"),
)


def _construct_bool(_loader: Any, node: yaml.ScalarNode) -> bool:
    return _BOOLEANS[str(node.value)]


class _GoDumper(yaml.SafeDumper):
    """Quotes a string that Go or PyYAML would take for something else; keeps the lines of a text."""


def _represent_string(dumper: Any, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_GoDumper.add_representer(str, _represent_string)


def _teach(kind: Any) -> None:  # PyYAML's class methods are untyped
    for tag, pattern, first in _PLAIN_SCALARS:
        kind.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


def _go_loader() -> Any:
    loader: Any = _GoLoader
    loader.yaml_implicit_resolvers = {}
    loader.add_constructor("tag:yaml.org,2002:bool", _construct_bool)
    return loader


_LOADER = _go_loader()
_teach(_LOADER)
_teach(_GoDumper)


class _Converter:
    """Turns what PyYAML composes into nodes with places."""

    def __init__(self, file: str, loader: Any) -> None:
        self._file = file
        self._loader = loader
        self._flat: set[int] = set()
        """The mappings whose merge keys are resolved: an anchor's are met again wherever it is used."""

    def convert(self, node: Any, key: Any = None) -> Node:
        """Convert one composed node; `key` is the composed key that leads to it."""
        place = self._place(node)
        return Node(
            value=self._value(node),
            text=node.value if isinstance(node, yaml.ScalarNode) else "",
            place=place,
            key_place=self._place(key) if key is not None else place,
            key_is_string=key is None or key.tag == "tag:yaml.org,2002:str",
        )

    def _value(self, node: Any) -> Scalar | dict[str, Node] | list[Node]:
        if isinstance(node, yaml.SequenceNode):
            return [self.convert(item) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        return self._loader.construct_object(node)

    def _mapping(self, node: Any) -> dict[str, Node]:
        if id(node) not in self._flat:
            self._flatten(node)
        return {key.value: self.convert(value, key) for key, value in node.value}

    def _flatten(self, node: Any) -> None:
        """Resolve the merge keys of a mapping, those of what it merges first; its own keys come last, and win."""
        own = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
        if len(own) < len(node.value):
            self._refuse_duplicates(node)
        self._flat.add(id(node))
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for other in merged:
                    if isinstance(other, yaml.MappingNode) and id(other) not in self._flat:
                        self._flatten(other)
        self._loader.flatten_mapping(node)

    def _refuse_duplicates(self, node: Any) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise DocumentError(
                    [f"{self._place(key)}: a key has to be a single word, not a list or a mapping"]
                )
            if key.value in seen:
                raise DocumentError(
                    [f'{self._place(key)}: key "{key.value}" already set in map: remove one of them']
                )
            seen.add(key.value)

    def _place(self, node: Any) -> Place:
        mark = node.start_mark
        return Place(file=self._file, line=mark.line + 1, column=mark.column + 1)


def dump(value: Json) -> str:
    """Return a value as a YAML document that Juju reads back as the same value."""
    return yaml.dump(value, Dumper=_GoDumper, allow_unicode=True, sort_keys=True, width=120)


def value_of(text: str) -> Json:
    """Return what a word of a command line means as YAML; one that holds no value, such as an empty one, is itself.

    So `juju run` reads `KEY=VALUE` (cmd/juju/action/run.go unmarshals the word over itself).

    Raises:
        DocumentError: if the text is not YAML.
    """
    documents = parse(text, "value", keep_empty=True)
    return documents[0].plain() if documents else text


def read(path: Path) -> list[Node]:
    """Read the YAML documents of a file; empty ones are left out.

    Raises:
        DocumentError: if the file cannot be read or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DocumentError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise DocumentError([f"{path}: not UTF-8 text: {error}"]) from error
    return parse(text, str(path))


def parse(text: str, file: str, *, keep_empty: bool = False) -> list[Node]:
    """Read the YAML documents in `text`; empty ones are left out, unless `keep_empty`.

    Raises:
        DocumentError: if the text is not YAML; `file` names it in the message.
    """
    nodes: list[Node] = []
    try:
        loader = _LOADER(text)
        converter = _Converter(file, loader)
        while loader.check_node():
            nodes.append(converter.convert(loader.get_node()))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise DocumentError([f"{where}: not valid YAML: {what}"]) from error
    except yaml.YAMLError as error:
        raise DocumentError([f"{file}: not valid YAML: {error}"]) from error
    return [node for node in nodes if keep_empty or node.value is not None]


def describe(node: Node) -> str:
    """Return a wrong value as Juju shows it in an error: Go's type and literal."""
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    if isinstance(node.value, str):
        return f'string("{node.value}")'
    go_types: dict[type, str] = {bool: "bool", int: "int", float: "float64"}
    kind = go_types.get(type(node.value))
    return f"{kind}({str(node.value).lower()})" if kind else "nothing"


@dataclass(slots=True)
class Problems:
    """Reads typed values and collects what is wrong, so that all of it is told at once.

    A reading method that meets a wrong value notes it and returns an empty one.
    """

    found: list[str] = field(default_factory=list[str])

    def add(self, place: Place, message: str) -> None:
        """Note a problem."""
        self.found.append(f"{place}: {message}")

    def raise_if_any(self) -> None:
        """Raise DocumentError with all that was found, in the order of the documents."""
        if self.found:
            raise DocumentError(self.found)

    def mapping(self, node: Node | None, what: str, *, string_keys: bool = False) -> dict[str, Node]:
        """Return the entries of a mapping; nothing is an empty one."""
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self._wrong(node, what, "map")
            return {}
        if string_keys:
            for key, child in node.value.items():
                if not child.key_is_string:
                    self.add(
                        child.key_place,
                        f'{what}: map keyed with non-string value {key}: write "{key}" in quotes',
                    )
        return node.value

    def items(self, node: Node | None, what: str) -> list[Node]:
        """Return the items of a list; nothing is an empty one."""
        if node is None or node.value is None:
            return []
        if not isinstance(node.value, list):
            self._wrong(node, what, "list")
            return []
        return node.value

    def string(self, node: Node | None, what: str) -> str:
        """Return a string; what YAML reads as a boolean or a number is a problem."""
        if node is None:
            return ""
        if not isinstance(node.value, str):
            remedy = f': write "{node.text}" in quotes' if node.text else ""
            self._wrong(node, what, "string", remedy)
            return ""
        return node.value

    def text(self, node: Node | None, what: str) -> str:
        """Return a scalar as it was written."""
        if node is None or node.value is None:
            return ""
        if isinstance(node.value, dict | list):
            self._wrong(node, what, "string")
            return ""
        return node.text

    def boolean(self, node: Node | None, what: str) -> bool:
        """Return a boolean; nothing is false."""
        if node is None:
            return False
        if not isinstance(node.value, bool):
            self._wrong(node, what, "bool")
            return False
        return node.value

    def integer(self, node: Node | None, what: str) -> int:
        """Return an integer; nothing is zero."""
        if node is None:
            return 0
        if not isinstance(node.value, int) or isinstance(node.value, bool):
            self._wrong(node, what, "int")
            return 0
        return node.value

    def choice(self, node: Node | None, what: str, allowed: Collection[str], default: str) -> str:
        """Return one of the allowed strings."""
        if node is None:
            return default
        value = self.string(node, what)
        if value and value not in allowed:
            self.add(
                node.place, f'{what}: unexpected value "{value}": use one of {", ".join(sorted(allowed))}'
            )
            return default
        return value or default

    def _wrong(self, node: Node, what: str, wanted: str, remedy: str = "") -> None:
        self.add(node.place, f"{what}: expected {wanted}, got {describe(node)}{remedy}")
