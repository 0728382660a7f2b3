"""The applications that have certificates of this one. Only the leader serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certificates import RefusedError
from openinfra_charm.interfaces import certificate_transfer, tls_certificates
from openinfra_charm.interfaces.tls_certificates import Acknowledgement, Issued, Refusal, Request, fingerprint
from openinfra_charm.model import secrets
from state import Holder

if TYPE_CHECKING:
    from collections.abc import Callable

    import ops

    from charm import CertificatesCharm
    from state import Settings, Succession


class NoKeyError(Exception):
    """The key of the CA cannot be read now."""


def serve(
    charm: CertificatesCharm,
    settings: Settings,
    succession: Succession,
    anew: Callable[[str], bool] = lambda _: False,
    only: ops.Relation | None = None,
) -> None:
    """Answer all requests; what has been answered by the CA that signs now stays as it is.

    What is not signed is recorded in the peer relation, and when all are looked at, how many requirers there are.

    Args:
        charm: The leader.
        settings: How long certificates are valid.
        succession: The CAs.
        anew: Whether a requirer, by the name of its unit or application, gets a new certificate all the same.
        only: The relation to look at; None: all.

    Raises:
        NoKeyError: There is something to sign, and the CA's key cannot be read.
    """
    refused_before: dict[str, dict[str, str]] = charm.cluster.shared.get("refused", {})
    told = {number: names for number, names in refused_before.items() if only and number != str(only.id)}
    count = charm.cluster.shared.get("requirers", 0)
    if only is None:
        count = sum(len(one.units) for one in relations(charm))
        charm.cluster.publish_shared(requirers=count)
    for relation in relations(charm, only):
        names: dict[str, str] = {}
        known = {one.csr: one for one in tls_certificates.read_issued(relation, charm.app)}
        refused = {one.csr: one for one in tls_certificates.read_refusals(relation, charm.app)}
        issued: dict[str, Issued] = {}
        refusals: dict[str, Refusal] = {}
        for request in tls_certificates.read_requests(relation):
            csr = request.csr
            is_wanted = anew(request.unit or relation.app.name)
            if csr in known and not is_wanted and _is_of(succession, known[csr]):
                issued[csr] = known[csr]
            elif csr in refused and not is_wanted:
                refusals[csr] = refused[csr]
            else:
                answer = _sign(charm, settings, succession, request)
                if isinstance(answer, Issued):
                    issued[csr] = answer
                else:
                    refusals[csr] = answer
            if csr in refusals:
                names[request.unit or relation.app.name] = refusals[csr].message
        if names:
            told[str(relation.id)] = names
        tls_certificates.publish(
            relation,
            charm.app,
            issued=issued.values(),
            refusals=refusals.values(),
            bundle=succession.bundle,
            requirers=count,
        )
    charm.cluster.publish_shared(refused=told or None)
    for relation in receivers(charm, only):
        certificate_transfer.publish(relation, charm.app, succession.bundle)


def is_served(
    charm: CertificatesCharm, succession: Succession, relation: ops.Relation, unit: ops.Unit
) -> bool:
    """Return whether a unit has an answer to all that it asks for; of the others of its application nothing is read."""
    if list(succession.bundle) != tls_certificates.read_bundle(relation, charm.app):
        return False
    issued = {one.csr for one in tls_certificates.read_issued(relation, charm.app) if _is_of(succession, one)}
    refused = {one.csr for one in tls_certificates.read_refusals(relation, charm.app)}
    return all(one.csr in issued | refused for one in tls_certificates.read_requests_of(relation, unit))


def holders(charm: CertificatesCharm, only: ops.Relation | None = None) -> list[Holder]:
    """Return all who have a certificate or only the bundle, of one relation or of all, and what they have acknowledged."""
    found: list[Holder] = []
    for relation in receivers(charm, only):
        said = certificate_transfer.read_acknowledgements(relation)
        found += [Holder(name=name, trusts=word.trusts) for name, word in sorted(said.items())]
    for relation in relations(charm, only):
        said = tls_certificates.read_acknowledgements(relation)
        issued = {one.csr: one for one in tls_certificates.read_issued(relation, charm.app)}
        for request in tls_certificates.read_requests(relation):
            if request.csr in issued:
                word = said.get(request.unit, Acknowledgement())
                found.append(
                    Holder(
                        name=request.unit or relation.app.name,
                        issued=fingerprint(issued[request.csr].certificate),
                        trusts=word.trusts,
                        serves=frozenset({word.serves}),
                    )
                )
    return found


def refusals(charm: CertificatesCharm) -> dict[str, str]:
    """Return whose requests are not signed, and why; the leader has recorded it, so no requirer's data is read."""
    recorded: dict[str, dict[str, str]] = charm.cluster.shared.get("refused", {})
    return {name: why for names in recorded.values() for name, why in names.items()}


def issued(charm: CertificatesCharm) -> list[tuple[str, Issued]]:
    """Return what has been signed, each with the name of its unit or application."""
    found: list[tuple[str, Issued]] = []
    for relation in relations(charm):
        names = {one.csr: one.unit or relation.app.name for one in tls_certificates.read_requests(relation)}
        signed = tls_certificates.read_issued(relation, charm.app)
        found += [(names.get(one.csr, relation.app.name), one) for one in signed]
    return found


def relations(charm: CertificatesCharm, only: ops.Relation | None = None) -> list[ops.Relation]:
    """Return the relations to requirers that are not about to end, or the one of them that is named."""
    return _active(charm, "certificates", only)


def receivers(charm: CertificatesCharm, only: ops.Relation | None = None) -> list[ops.Relation]:
    """Return the relations to those that get the bundle only, or the one of them that is named."""
    return _active(charm, "send-ca-cert", only)


def _active(charm: CertificatesCharm, endpoint: str, only: ops.Relation | None) -> list[ops.Relation]:
    there = [relation for relation in charm.model.relations[endpoint] if relation.active]
    return there if only is None else [relation for relation in there if relation.id == only.id]


def _is_of(succession: Succession, issued: Issued) -> bool:
    return issued.issuer == succession.signing.certificate and not issued.revoked


def _sign(
    charm: CertificatesCharm, settings: Settings, succession: Succession, request: Request
) -> Issued | Refusal:
    authority = succession.signing
    try:
        certificate = charm.signer.sign(
            request.csr,
            is_ca=request.is_ca,
            authority=authority,
            key=key(charm, authority.secret),
            validity=settings.validity,
        )
    except RefusedError as error:
        return Refusal(csr=request.csr, message=str(error))
    return Issued(
        csr=request.csr,
        certificate=certificate,
        ca=authority.root,
        chain=(certificate, *authority.chain),
    )


def key(charm: CertificatesCharm, secret: str) -> str:
    """Return a CA's key; one that was made in this hook is known though Juju does not have it yet.

    Raises:
        NoKeyError: Juju does not give it out.
    """
    content = charm.new_keys.get(secret) or secrets.find(charm.model, secret)
    if content is None:
        raise NoKeyError(f"for Juju to let this unit read the CA's key ({secret})")
    return content["private-key"]
