"""The options of a charm, checked. One that cannot be used is a `ConfigError`: it names the option, its value and what is allowed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from openinfra_charm.model.status import ConfigError
from openinfra_charm.values import parse_size, split

if TYPE_CHECKING:
    from collections.abc import Mapping


def check(options: Mapping[str, Any], option: str, is_usable: object, expected: str) -> None:
    """See that an option can be used.

    Raises:
        ConfigError: It cannot.
    """
    if not is_usable:
        raise ConfigError(option, options[option], expected)


def whole(options: Mapping[str, Any], option: str, least: int, most: int | None = None) -> int:
    """Return a whole number within limits.

    Raises:
        ConfigError: It is not within them.
    """
    value, limits = options[option], f"at least {least}" if most is None else f"{least} to {most}"
    is_within = value >= least and (most is None or value <= most)
    check(options, option, is_within, f"a whole number, {limits}")
    return value


def size(options: Mapping[str, Any], option: str, least: str, example: str) -> int:
    """Return the bytes of a size that is not less than another one.

    Raises:
        ConfigError: It is none, or less.
    """
    found = parse_size(options[option]) or 0
    check(options, option, found >= (parse_size(least) or 0), f"a size of {least} or more, such as {example}")
    return found


def shared(options: Mapping[str, Any], option: str, expected: str) -> dict[str, frozenset[str]]:
    """Return what each application may use of others, from words such as `nova-compute:nova`.

    Raises:
        ConfigError: One is not of that form.
    """
    found: dict[str, frozenset[str]] = {}
    for pair in split(options[option]):
        application, _, what = pair.partition(":")
        check(options, option, re.fullmatch(r"[a-z][a-z0-9-]*", application) and what, expected)
        found[application] = found.get(application, frozenset()) | {what}
    return found
