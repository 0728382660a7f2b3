"""What all interfaces do with relation data: a value is written only when it is another one, and read with care.

What others say gets into files that daemons and root's programs read, where a line more is another setting. So each value
that does is of a form. What one relation says wrong is a `RelationError`, and `read_each` goes on with the others.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import ops

from openinfra_charm.model.status import NeedsOperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

FoundT = TypeVar("FoundT")


@dataclass(frozen=True, slots=True)
class Form:
    """What a value may be: a regular expression that it matches as a whole, and what it stands for, in words."""

    pattern: str
    words: str

    def fits(self, text: str) -> bool:
        """Return whether a text is of this form."""
        return re.fullmatch(self.pattern, text, re.ASCII) is not None


LINE = Form(r"[^\x00-\x1f\x7f]*", "one line without control characters")
NAME = Form(r"[\w.-]*", "letters, digits and . _ -")
HOST = Form(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?", "an address or a host name")
ENDPOINT = Form(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}", "host:port")
URL = Form(r"(https?://[!#-&(-;=?-~]+)?", "a URL such as https://10.0.0.7:5000/v3")
KEY = Form(r"[!-~]*", "visible ASCII characters")


class RelationError(NeedsOperatorError):
    """What the other side of a relation says cannot be used; the message names who, what, and what is expected."""


def active_relation(model: ops.Model, endpoint: str) -> ops.Relation | None:
    """Return the relation of an endpoint that has one at most; None where there is none, or it is about to end."""
    relation = model.get_relation(endpoint)
    return relation if relation and relation.active else None


def read_each(
    relations: Iterable[ops.Relation], read: Callable[[ops.Relation], FoundT | None]
) -> tuple[dict[ops.Relation, FoundT], list[str]]:
    """Return what `read` finds in relations, and for the status why others cannot be used.

    Where it returns None, the other side has not said all yet.
    """
    found: dict[ops.Relation, FoundT] = {}
    problems: list[str] = []
    for relation in relations:
        try:
            one = read(relation)
        except RelationError as error:
            problems.append(str(error))
            continue
        if one is not None:
            found[relation] = one
    return found, problems


def check(relation: ops.Relation, form: Form, said: Mapping[str, str], *, secret: bool = False) -> None:
    """See that values of the other side, by the names of their keys, are of a form; `secret` ones are not shown.

    Raises:
        RelationError: One is not.
    """
    for key, value in said.items():
        if not form.fits(value):
            shown = "..." if secret else repr(value)
            raise RelationError(
                f"{relation.app.name} says {key}={shown} in {relation.name}, which cannot be used: expected {form.words}"
            )


def put(data: ops.RelationDataContent, key: str, text: str) -> None:
    """Write a value unless it is there; the empty text takes it away. A write wakes all who see it.

    In a relation that the model has no longer there is nobody to tell.
    """
    if data.get(key, "") != text:
        with contextlib.suppress(ops.RelationNotFoundError):
            data[key] = text


def load(text: str, kind: type[list[Any] | dict[str, Any]]) -> Any:
    """Return a JSON text of the other side; an empty `kind` where it is none, or of another kind."""
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError:
        return kind()
    return cast("Any", value) if isinstance(value, kind) else kind()
