"""Entities to and from JSON, by their annotations."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union, cast

from openinfra_model.charm import Charm

_Entity = TypeVar("_Entity")
_Decoder = Callable[[Any], Any]


def to_json(value: Any) -> Any:
    """Return an entity, or a part of one, as plain JSON data."""
    if isinstance(value, Charm):
        return value.to_dict()
    if dataclasses.is_dataclass(value):
        return {item.name: to_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in cast("tuple[Any, ...]", value)]
    return value


def from_json(kind: type[_Entity], data: Mapping[str, Any]) -> _Entity:
    """Rebuild an entity from what `to_json` returned."""
    return kind(**{name: decode(data[name]) for name, decode in _fields(kind).items() if name in data})


@functools.cache
def _fields(kind: type) -> dict[str, _Decoder]:
    return {name: _decoder(hint) for name, hint in typing.get_type_hints(kind).items()}


def _identity(value: Any) -> Any:
    return value


def _decoder(hint: Any) -> _Decoder:
    """Return what turns JSON data into a value of an annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Charm:
        return Charm.from_dict
    if dataclasses.is_dataclass(hint):
        return functools.partial(from_json, cast("type", hint))
    if origin in (Union, types.UnionType):
        return _optional(arguments)
    if origin is tuple:
        return _tuple(arguments)
    if origin is Mapping:
        return _mapping(*arguments)
    if origin is Literal or hint is Any or hint in (str, int, float, bool):
        return _identity
    raise TypeError(f"an entity's field cannot be a {hint}: add it to the codec")


def _optional(arguments: tuple[Any, ...]) -> _Decoder:
    rich = [item for item in arguments if dataclasses.is_dataclass(item)]
    if not rich:
        return _identity
    decode = _decoder(rich[0])
    return lambda value: None if value is None else decode(value)


def _tuple(arguments: tuple[Any, ...]) -> _Decoder:
    if Ellipsis in arguments:
        decode = _decoder(arguments[0])
        return lambda value: tuple(decode(item) for item in value)
    decoders = [_decoder(item) for item in arguments]
    return lambda value: tuple(decode(item) for decode, item in zip(decoders, value, strict=True))


def _mapping(key: Any, item: Any) -> _Decoder:
    decode = _decoder(item)
    decode_key = int if key is int else _identity
    return lambda value: {decode_key(name): decode(entry) for name, entry in value.items()}
