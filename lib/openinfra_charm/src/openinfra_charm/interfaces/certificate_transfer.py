"""The `certificate_transfer` interface, version 1: CA certificates to trust.

The wire format is Canonical's, as the library `charmlibs-interfaces-certificate-transfer` 1.1 (PyPI) reads and writes it:
the provider's application data hold `certificates`, a sorted JSON list of PEM, and `version`, 1. Requirers say `version`
= 1 in their application data. Version 0, in which each unit of the provider speaks for itself, is not spoken here.

Ours is `acknowledged` in the unit data of a requirer, as in `tls-certificates`: which CAs its programs trust.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from openinfra_charm.interfaces import tls_certificates
from openinfra_charm.model import databag

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ops

    from openinfra_charm.interfaces.tls_certificates import Acknowledgement

VERSION = 1


def publish(relation: ops.Relation, application: ops.Application, certificates: Iterable[str]) -> None:
    """Hand CA certificates out. Only the leader may."""
    data = relation.data[application]
    databag.put(
        data, "certificates", json.dumps(sorted({certificate.strip() for certificate in certificates}))
    )
    databag.put(data, "version", json.dumps(VERSION))


def announce(relation: ops.Relation, application: ops.Application) -> None:
    """As a requirer's leader, say which version it speaks."""
    databag.put(relation.data[application], "version", json.dumps(VERSION))


def acknowledge(relation: ops.Relation, unit: ops.Unit, trusts: Iterable[str]) -> None:
    """As a requirer's unit, say which CA certificates its programs trust now: a CA waits for that before it changes."""
    tls_certificates.acknowledge(relation, unit, trusts=trusts)


def read_acknowledgements(relation: ops.Relation) -> dict[str, Acknowledgement]:
    """Return what each of a requirer's units has said of its programs, by unit."""
    return tls_certificates.read_acknowledgements(relation)


def read(relation: ops.Relation) -> list[str]:
    """Return the CA certificates that the provider hands out; none until it has."""
    found = databag.load(relation.data[relation.app].get("certificates", ""), list)
    return [str(one).strip() for one in found]
