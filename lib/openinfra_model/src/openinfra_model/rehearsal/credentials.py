"""What must hold for credentials and certificates, whoever made them: everything is told by the model and its machines."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from openinfra_charm.daemon import tls
from openinfra_charm.interfaces.tls_certificates import fingerprint
from openinfra_model.core import secrets
from openinfra_model.core.entities import Databag
from openinfra_model.rehearsal.invariants import CERTIFICATES, ROTATED, SECRET, Violation
from openinfra_model.rehearsal.world import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from openinfra_charm.testing import MemoryMachine
    from openinfra_model.core.entities import Relation
    from openinfra_model.rehearsal.world import World

_OTHERS_MAY_READ = 0o004
_OTHERS_MAY_ENTER = 0o001
_BACKUPS = "/var/backups/"
"""What is there holds what was, and with it credentials of then."""
_LEAST_SECRET = 8
"""Shorter values are words, not credentials."""
_PUBLIC = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"
_INTERFACE = "tls-certificates"


def check_end(world: World) -> None:
    """Check what must hold when all is settled.

    Raises:
        Violation: It does not.
    """
    known = _told_by(world.credentials)
    for place, text in _open_places(world):
        if any(part in text for part in known):
            raise Violation(SECRET, f"a secret's content is in {place}")
    _check_rotated(world)
    for who, why in _stale(world):
        raise Violation(CERTIFICATES, f"{who} {why}")


# Credentials


def _told_by(values: Iterable[str]) -> set[str]:
    """Return what gives credentials away wherever it is: a line each, since formats break lines in their own ways."""
    lines = (
        max((line for line in value.splitlines() if not line.startswith("-----")), key=len, default="")
        for value in values
        if not value.startswith(_PUBLIC)
    )
    return {line for line in lines if len(line) >= _LEAST_SECRET}


def _open_places(world: World) -> Iterator[tuple[str, str]]:
    yield "relation data", "\n".join(world.written)
    yield "what charms said", "\n".join(world.told)
    for machine in world.machines.values():
        yield f"a command line of {machine.name}", "\n".join(machine.argv)
        for path, node in machine.nodes.items():
            if node.content and _is_open(machine, path):
                yield f"{path} of {machine.name}, which everybody may read", node.content


def _is_open(machine: MemoryMachine, path: str) -> bool:
    """Return whether everybody may read a file: its mode says so, and no folder above it is closed."""
    if not machine.nodes[path].mode & _OTHERS_MAY_READ:
        return False
    above = (folder for parent in PurePosixPath(path).parents if (folder := machine.nodes.get(str(parent))))
    return all(folder.mode & _OTHERS_MAY_ENTER for folder in above)


def _check_rotated(world: World) -> None:
    newest = _told_by(
        value
        for secret in world.state.secrets
        for key, value in secrets.decoded(secret.revisions[secret.latest].content).items()
        if key not in NAMES
    )
    replaced = _told_by(world.credentials) - newest
    for machine in world.machines.values() if replaced else ():
        for path, node in machine.nodes.items():
            if path.startswith(_BACKUPS):
                continue
            if node.content and any(value in node.content for value in replaced):
                raise Violation(ROTATED, f"{path} of {machine.name} has a credential that was replaced")
    for application, password in world.accepted():
        if password in replaced:
            raise Violation(
                ROTATED, f"{application} still lets somebody in with a password that was replaced"
            )


# Certificates


def _stale(world: World) -> Iterator[tuple[str, str]]:
    """Yield who serves a certificate that clients refuse, and why they do."""
    for relation in world.state.relations:
        if any(end.interface == _INTERFACE for end in relation.endpoints) and not relation.is_peer:
            yield from _stale_in(world, relation)


def _stale_in(world: World, relation: Relation) -> Iterator[tuple[str, str]]:
    provider = next(end.application for end in relation.endpoints if end.role == "provides")
    requirer = relation.remote(provider).application
    told = relation.applications.get(provider, Databag()).content
    issued: list[dict[str, Any]] = json.loads(told.get("certificates", "[]"))
    trusted = {*json.loads(told.get("ca-bundle", "[]")), *(one["ca"] for one in issued)}
    handed_out = {fingerprint(one["certificate"]): one["chain"] for one in issued}
    for name, bag in relation.units.items():
        serves = json.loads(bag.content.get("acknowledged", "{}")).get("serves")
        if serves and name.partition("/")[0] == requirer:
            if serves not in handed_out:
                yield name, "says that it serves a certificate that its CA does not hand out any more"
            elif why := _why_refused(handed_out[serves], trusted, world.now):
                yield name, f"says that it serves a certificate {why}"
    for application, who, text in world.served():
        if application == requirer and (why := _why_refused(_split(text), trusted, world.now)):
            yield who, f"serves a certificate {why}"


def _why_refused(chain: list[str], trusted: set[str], now: float) -> str:
    """Return why a client that trusts these CAs refuses what is served; empty if it does not."""
    certificates = [x509.load_pem_x509_certificate(one.encode()) for one in chain]
    begins, ends = tls.validity(certificates[0])
    if not begins <= now < ends:
        return "that has expired" if now >= ends else "that is not valid yet"
    roots = [x509.load_pem_x509_certificate(one.encode()) for one in trusted]
    for certificate in certificates:
        if any(_is_signed_by(certificate, root) for root in roots):
            return ""
    return "of a CA that its clients do not trust"


def _is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _split(text: str) -> list[str]:
    return [f"{part.strip()}\n{_END}" for part in text.split(_END) if part.strip()]
