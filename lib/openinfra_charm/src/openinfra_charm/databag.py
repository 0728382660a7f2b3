"""What all interfaces do with relation data: a value is written only when it is another one, JSON is read with care."""

from __future__ import annotations

import contextlib
import json
from typing import Any, cast

import ops


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
