"""The `tls-certificates` interface, version 1: certificates for signing requests (CSRs).

The wire format is Canonical's, as the library `charmlibs-interfaces-tls-certificates` 1.12 (PyPI) reads and writes it.
Each value is JSON; certificates and CSRs are PEM.

- A requirer's unit, in its unit data, or its leader, in the application data, for all units in common:
  `certificate_signing_requests` = `[{certificate_signing_request, ca}]`; `ca` asks for a certificate that may sign.
- The provider's leader, in its application data: `certificates` = `[{certificate, certificate_signing_request, ca, chain,
  revoked}]`, where `chain` begins with the certificate itself and `revoked` may be left out; and `request_errors` =
  `[{csr, error: {code, name, message}}]` for what it does not sign.

Three keys are ours; the published library passes over what it does not know. The provider's `ca-bundle` (application data)
lists all CA certificates to trust, of which there are two while a new CA is introduced, and its `requirers` says of how many
units it has to answer the requests, as a power of two, that a new unit is no news to all others; a requirer's `acknowledged`
(unit data) says which CAs its daemons trust and which certificate they serve, as SHA-256 fingerprints.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from openinfra_charm.model import databag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import ops

REFUSED = (999, "OTHER")
"""Code and name of a refusal; the published library's other codes are about names that are not allowed."""
_REQUESTS = "certificate_signing_requests"
_ISSUED = "certificates"
_REFUSALS = "request_errors"
_BUNDLE = "ca-bundle"
_REQUIRERS = "requirers"
_FEW = 16
"""Of so many requirers nothing is said."""
_ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A CSR; `is_ca` asks for a certificate that may sign others. `unit` is who asks, empty for a whole application."""

    csr: str
    is_ca: bool = False
    unit: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Issued:
    """A certificate for a CSR. `ca` is to be trusted; `chain` leads there, beginning with the certificate itself."""

    csr: str
    certificate: str
    ca: str
    chain: tuple[str, ...]
    revoked: bool = False

    @property
    def issuer(self) -> str:
        """The certificate of the CA that signed it; the root where the chain does not say."""
        return self.chain[1] if len(self.chain) > 1 else self.ca


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A CSR that the provider does not sign, and why."""

    csr: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Acknowledgement:
    """What the daemons of a requirer's unit run with, as SHA-256 fingerprints; nothing where it does not say."""

    trusts: frozenset[str] = frozenset()
    serves: str = ""


def fingerprint(certificate: str) -> str:
    """Return the SHA-256 fingerprint of a certificate in PEM, in hexadecimal digits."""
    lines = [line for line in certificate.split("\n") if line and not line.startswith("-----")]
    return hashlib.sha256(base64.b64decode("".join(lines))).hexdigest()


# The provider


def read_requests(relation: ops.Relation) -> list[Request]:
    """Return what a requirer asks for, its application first, then unit by unit.

    What is not of the known form is passed over: the other side has not finished, or speaks a later version.
    """
    requests = _requests(relation.data[relation.app], "")
    for unit in sorted(relation.units, key=lambda unit: unit.name):
        requests += _requests(relation.data[unit], unit.name)
    return requests


def read_requests_of(relation: ops.Relation, unit: ops.Unit) -> list[Request]:
    """Return what one unit of a requirer asks for."""
    return _requests(relation.data[unit], unit.name)


def read_acknowledgements(relation: ops.Relation) -> dict[str, Acknowledgement]:
    """Return what each of a requirer's units has said of its daemons, by unit."""
    return {unit.name: _acknowledgement(relation.data[unit]) for unit in relation.units}


def publish(
    relation: ops.Relation,
    application: ops.Application,
    *,
    issued: Iterable[Issued],
    refusals: Iterable[Refusal],
    bundle: Iterable[str],
    requirers: int = 0,
) -> None:
    """Hand out all certificates of a relation, say what is not signed, and which CAs to trust. Only the leader may.

    Args:
        relation: The relation.
        application: The provider.
        issued: What is signed.
        refusals: What is not.
        bundle: The CA certificates to trust.
        requirers: How many units have certificates of the provider, in all relations.
    """
    code, name = REFUSED
    data = relation.data[application]
    _set(data, _ISSUED, [_issued_on_the_wire(one) for one in issued])
    _set(
        data,
        _REFUSALS,
        [{"csr": one.csr, "error": {"code": code, "name": name, "message": one.message}} for one in refusals],
    )
    _set(data, _BUNDLE, list(bundle))
    _set(data, _REQUIRERS, 1 << (requirers - 1).bit_length() if requirers > _FEW else 0)


# The requirer, and the provider's leader, which reads what it has published


def read_issued(relation: ops.Relation, provider: ops.Application | None = None) -> list[Issued]:
    """Return the certificates that the provider has handed out, also those that it has revoked.

    Args:
        relation: The relation.
        provider: The application that hands out; None: the one on the other side.
    """
    found: list[Issued] = []
    for entry in _entries(relation.data[provider or relation.app], _ISSUED):
        texts = [entry.get(key) for key in ("certificate_signing_request", "certificate", "ca")]
        chain: object = entry.get("chain") or list[Any]()
        if not all(isinstance(text, str) for text in texts) or not isinstance(chain, list):
            continue
        csr, certificate, ca = (cast("str", text).strip() for text in texts)
        found.append(
            Issued(
                csr=csr,
                certificate=certificate,
                ca=ca,
                chain=tuple(str(one).strip() for one in cast("list[Any]", chain)) or (certificate,),
                revoked=entry.get("revoked") is True,
            )
        )
    return found


def read_refusals(relation: ops.Relation, provider: ops.Application | None = None) -> list[Refusal]:
    """Return what the provider does not sign; `provider` is as in `read_issued`."""
    found: list[Refusal] = []
    for entry in _entries(relation.data[provider or relation.app], _REFUSALS):
        error = entry.get("error")
        words = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
        found.append(Refusal(csr=str(entry.get("csr", "")).strip(), message=str(words.get("message", ""))))
    return found


def read_bundle(relation: ops.Relation, provider: ops.Application | None = None) -> list[str]:
    """Return the CA certificates that the provider names besides those of single certificates; `provider` is as in `read_issued`."""
    text = relation.data[provider or relation.app].get(_BUNDLE, "")
    return [str(one).strip() for one in databag.load(text, list)]


def read_requirers(relation: ops.Relation) -> int:
    """Return about how many units the provider has to answer; 0 where they are few, or it does not say."""
    text = relation.data[relation.app].get(_REQUIRERS, "")
    return int(text) if text.isdecimal() else 0


def publish_requests(
    relation: ops.Relation, entity: ops.Unit | ops.Application, csrs: Sequence[str], *, is_ca: bool = False
) -> None:
    """Ask for a certificate for each CSR, as a unit or (only the leader may) for the application."""
    wanted = [{"certificate_signing_request": csr.strip(), "ca": is_ca} for csr in csrs]
    _set(relation.data[entity], _REQUESTS, wanted)


def acknowledge(relation: ops.Relation, unit: ops.Unit, *, trusts: Iterable[str], serves: str = "") -> None:
    """Say which CAs the unit's daemons trust and which certificate they serve, if any, all as PEM."""
    said = {
        "trusts": sorted(fingerprint(ca) for ca in trusts),
        "serves": fingerprint(serves) if serves else "",
    }
    _set(relation.data[unit], _ACKNOWLEDGED, said)


def _requests(data: ops.RelationDataContent, unit: str) -> list[Request]:
    return [
        Request(csr=csr.strip(), is_ca=entry.get("ca") is True, unit=unit)
        for entry in _entries(data, _REQUESTS)
        if isinstance(csr := entry.get("certificate_signing_request"), str)
    ]


def _acknowledgement(data: ops.RelationDataContent) -> Acknowledgement:
    said = databag.load(data.get(_ACKNOWLEDGED, ""), dict)
    trusts = said.get("trusts")
    return Acknowledgement(
        trusts=frozenset(map(str, cast("list[Any]", trusts))) if isinstance(trusts, list) else frozenset(),
        serves=str(said.get("serves", "")),
    )


def _issued_on_the_wire(issued: Issued) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "ca": issued.ca,
        "certificate_signing_request": issued.csr,
        "certificate": issued.certificate,
        "chain": list(issued.chain),
    }
    return entry | ({"revoked": True} if issued.revoked else {})


def _entries(data: ops.RelationDataContent, key: str) -> list[dict[str, Any]]:
    return [entry for entry in databag.load(data.get(key, ""), list) if isinstance(entry, dict)]


def _set(data: ops.RelationDataContent, key: str, value: object) -> None:
    """Write a value unless it is there; what is empty is left out, as the published library does."""
    databag.put(data, key, json.dumps(value) if value else "")
