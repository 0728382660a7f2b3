"""What a charm says of itself: its endpoints, options, actions, storage and resources."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_model.document import Json, Scalar

Role = Literal["provides", "requires", "peers"]
Scope = Literal["global", "container"]
OptionType = Literal["string", "int", "float", "boolean", "secret"]

ROLES: tuple[Role, ...] = ("provides", "requires", "peers")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([MGTPEZY]?)(?:i?B)?")
_Record = TypeVar("_Record")
_GO_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


class OptionError(ValueError):
    """A value does not fit an option; worded as Juju words it."""


class StorageError(ValueError):
    """So much storage is not what a charm allows; worded as Juju words it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """An operating system that a charm runs on, for example ubuntu 24.04 on amd64."""

    name: str
    channel: str
    architectures: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """An end that can be related to another charm's; a `limit` of 0 means none."""

    name: str
    role: Role
    interface: str
    scope: Scope = "global"
    optional: bool = False
    limit: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """A configuration option."""

    name: str
    type: OptionType
    default: Scalar = None
    description: str = ""

    def check(self, value: Json) -> Scalar:
        """Return a value that a YAML file gave, in the option's type.

        Raises:
            OptionError: if the value is of another type.
        """
        match self.type, value:
            case (_, None) | ("string", str()) | ("boolean", bool()) | ("float", float()):
                return value
            case "int", int() if not isinstance(value, bool):
                return value
            case "secret", str() if not value or value.startswith("secret:"):
                return value
            case (("int" | "boolean"), str()):
                return self.parse(value)
            case _:
                raise self._refuse(value)

    def parse(self, text: str) -> Scalar:
        """Return a value that a command line gave, in the option's type.

        Raises:
            OptionError: if the text is not a value of that type.
        """
        try:
            match self.type:
                case "int":
                    return int(text)
                case "float":
                    return float(text)
                case "boolean":
                    return _GO_BOOLEANS[text]
                case "string" | "secret":
                    return text
        except (ValueError, KeyError) as error:
            raise self._refuse(text) from error

    def _refuse(self, value: Json) -> OptionError:
        match value:
            case str():
                shown = f'"{value}"'
            case bool():
                shown = str(value).lower()
            case _:
                shown = str(value)
        return OptionError(f'option "{self.name}" expected {self.type}, got {shown}')


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionSpec:
    """An action; `schema` is the JSON Schema (draft 4) of its parameters as Juju builds it."""

    name: str
    description: str
    schema: dict[str, Json]
    parallel: bool = False
    execution_group: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageSpec:
    """A store; sizes in MiB, a `count_max` of None means without bound."""

    name: str
    type: Literal["filesystem", "block"]
    description: str = ""
    shared: bool = False
    read_only: bool = False
    count_min: int = 1
    count_max: int | None = 1
    minimum_size: int = 0
    location: str = ""
    properties: tuple[str, ...] = ()

    def check(self, charm: str, *, size: int | None, count: int | None) -> None:
        """Check that a unit of a charm may have so many instances of this size (MiB); None is what the charm asks for.

        Raises:
            StorageError: the charm says otherwise.
        """
        refused = f'charm "{charm}" store "{self.name}":'
        if count is not None and self.count_max is not None and count > self.count_max:
            raise StorageError(f"{refused} at most {self.count_max} instances supported, {count} specified")
        if count is not None and count < self.count_min:
            raise StorageError(f"{refused} at least {self.count_min} instances required, {count} specified")
        if size is not None and size < self.minimum_size:
            raise StorageError(f"{refused} minimum storage size is {self.minimum_size}M, {size}M specified")


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceSpec:
    """A file (or container image) that the operator attaches."""

    name: str
    type: Literal["file", "oci-image"] = "file"
    filename: str = ""
    description: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Charm:
    """A charm; `assumes` is the expression as written, `version` the text of the charm's version file."""

    name: str
    summary: str
    description: str
    subordinate: bool
    bases: tuple[Base, ...]
    endpoints: dict[str, Endpoint]
    config: dict[str, Option]
    actions: dict[str, ActionSpec]
    storage: dict[str, StorageSpec]
    resources: dict[str, ResourceSpec]
    extra_bindings: tuple[str, ...] = ()
    assumes: tuple[Json, ...] = ()
    containers: tuple[str, ...] = ()
    version: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the charm as plain JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Charm:
        """Rebuild a charm from what `to_dict` returned, through JSON or not."""
        tables = {
            "endpoints": Endpoint,
            "config": Option,
            "actions": ActionSpec,
            "storage": StorageSpec,
            "resources": ResourceSpec,
        }
        named = {
            field: {name: _rebuild(kind, entry) for name, entry in data[field].items()}
            for field, kind in tables.items()
        }
        return _rebuild(cls, {**data, **named, "bases": [_rebuild(Base, base) for base in data["bases"]]})


def _rebuild(kind: type[_Record], data: Mapping[str, Any]) -> _Record:
    return kind(
        **{
            key: tuple(cast("list[Any]", value)) if isinstance(value, list) else value
            for key, value in data.items()
        }
    )


def parse_size(text: str) -> int:
    """Return a size such as `10M`, `1.5G` or `1TiB` in MiB, as Juju reads it; without a unit it is MiB.

    Raises:
        ValueError: if the text is no size.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f'"{text}" is not a size: write a number and one of M, G, T, P, E, Z, Y, as in 10G')
    exponent = "MGTPEZY".index(match[2] or "M")
    return -int(-float(match[1]) * 1024**exponent // 1)
