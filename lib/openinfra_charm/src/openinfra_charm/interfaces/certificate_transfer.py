"""The `certificate_transfer` interface, version 1: CA certificates to trust.

The wire format is Canonical's, as the library `charmlibs-interfaces-certificate-transfer` 1.1 (PyPI) reads and writes it:
the provider's application data hold `certificates`, a sorted JSON list of PEM, and `version`, 1. Requirers say `version`
= 1 in their application data. Version 0, in which each unit of the provider speaks for itself, is not spoken here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ops

VERSION = 1


def publish(relation: ops.Relation, application: ops.Application, certificates: Iterable[str]) -> None:
    """Hand CA certificates out. Only the leader may."""
    data = relation.data[application]
    _set(data, "certificates", sorted({certificate.strip() for certificate in certificates}))
    _set(data, "version", VERSION)


def announce(relation: ops.Relation, application: ops.Application) -> None:
    """As a requirer's leader, say which version it speaks."""
    _set(relation.data[application], "version", VERSION)


def read(relation: ops.Relation) -> list[str]:
    """Return the CA certificates that the provider hands out; none until it has."""
    try:
        value = json.loads(relation.data[relation.app].get("certificates", ""))
    except json.JSONDecodeError:
        return []
    return [str(one).strip() for one in cast("list[Any]", value)] if isinstance(value, list) else []


def _set(data: ops.RelationDataContent, key: str, value: object) -> None:
    text = json.dumps(value)
    if data.get(key, "") != text:
        data[key] = text
