"""The applications that have certificates of this one. Only the leader serves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from certificates import RefusedError
from openinfra_charm.interfaces import certificate_transfer, tls_certificates
from openinfra_charm.interfaces.tls_certificates import Acknowledgement, Issued, Refusal, Request, fingerprint
from state import Holder

if TYPE_CHECKING:
    from collections.abc import Callable

    import ops

    from certificates import Signer
    from keys import Keys
    from openinfra_charm.model.cluster import Cluster
    from state import Succession


@dataclass
class Requirers:
    """The requirers of certificates, and the receivers of the bundle alone, as the relations show them."""

    model: ops.Model
    cluster: Cluster
    """Where it is published what is refused."""
    signer: Signer
    keys: Keys

    def serve(
        self,
        succession: Succession,
        validity: int,
        *,
        anew: Callable[[str], bool] = lambda _: False,
        only: ops.Relation | None = None,
    ) -> None:
        """Answer all requests; what has been answered by the CA that signs now stays as it is.

        What is not signed is recorded in the peer relation, and when all are looked at, how many requirers there are.

        Args:
            succession: The CAs.
            validity: How long certificates are valid, in seconds.
            anew: Whether a requirer, by the name of its unit or application, gets a new certificate all the same.
            only: The relation to look at; None: all.

        Raises:
            NoKeyError: There is something to sign, and the CA's key cannot be read.
        """
        recorded: dict[str, dict[str, str]] = self.cluster.shared.get("refused", {})
        refused = {number: names for number, names in recorded.items() if only and number != str(only.id)}
        count = self.cluster.shared.get("requirers", 0)
        relations = self._requirers(only)
        if only is None:
            count = sum(len(one.units) for one in relations)
            self.cluster.publish_shared(requirers=count)
        for relation in relations:
            answers = self._answers(relation, succession, validity, anew)
            if names := {name: answer.message for name, answer in answers if isinstance(answer, Refusal)}:
                refused[str(relation.id)] = names
            tls_certificates.publish(
                relation,
                self.model.app,
                issued={one.csr: one for _, one in answers if isinstance(one, Issued)}.values(),
                refusals={one.csr: one for _, one in answers if isinstance(one, Refusal)}.values(),
                bundle=succession.bundle,
                requirers=count,
            )
        self.cluster.publish_shared(refused=refused or None)
        for relation in self._receivers(only):
            certificate_transfer.publish(relation, self.model.app, succession.bundle)

    def _answers(
        self, relation: ops.Relation, succession: Succession, validity: int, anew: Callable[[str], bool]
    ) -> list[tuple[str, Issued | Refusal]]:
        """Return what each unit or application of a relation is answered, in the order of their requests."""
        issued = {one.csr: one for one in tls_certificates.read_issued(relation, self.model.app)}
        refused = {one.csr: one for one in tls_certificates.read_refusals(relation, self.model.app)}
        answers: list[tuple[str, Issued | Refusal]] = []
        for request in tls_certificates.read_requests(relation):
            name = request.unit or relation.app.name
            before = issued.get(request.csr)
            if before and not anew(name) and _is_of(succession, before):
                answer = before
            elif request.csr in refused and not anew(name):
                answer = refused[request.csr]
            else:
                answer = self._sign(succession, validity, request)
            answers.append((name, answer))
        return answers

    def _sign(self, succession: Succession, validity: int, request: Request) -> Issued | Refusal:
        authority = succession.signing
        try:
            certificate = self.signer.sign(
                request.csr,
                is_ca=request.is_ca,
                authority=authority,
                key=self.keys.read(authority),
                validity=validity,
            )
        except RefusedError as error:
            return Refusal(csr=request.csr, message=str(error))
        return Issued(
            csr=request.csr,
            certificate=certificate,
            ca=authority.root,
            chain=(certificate, *authority.chain),
        )

    def is_served(self, succession: Succession, relation: ops.Relation, unit: ops.Unit) -> bool:
        """Return whether a unit has an answer to all that it asks for; of the others of its application nothing is read."""
        if list(succession.bundle) != tls_certificates.read_bundle(relation, self.model.app):
            return False
        known = tls_certificates.read_issued(relation, self.model.app)
        issued = {one.csr for one in known if _is_of(succession, one)}
        refused = {one.csr for one in tls_certificates.read_refusals(relation, self.model.app)}
        return all(one.csr in issued | refused for one in tls_certificates.read_requests_of(relation, unit))

    def holders(self, only: ops.Relation | None = None) -> list[Holder]:
        """Return all who have a certificate or only the bundle, of one relation or of all, and what they have acknowledged."""
        found: list[Holder] = []
        for relation in self._receivers(only):
            said = certificate_transfer.read_acknowledgements(relation)
            found += [Holder(name=name, trusts=word.trusts) for name, word in sorted(said.items())]
        for relation in self._requirers(only):
            said = tls_certificates.read_acknowledgements(relation)
            issued = {one.csr: one for one in tls_certificates.read_issued(relation, self.model.app)}
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

    def refusals(self) -> dict[str, str]:
        """Return whose requests are not signed, and why; the leader has recorded it, so no requirer's data is read."""
        recorded: dict[str, dict[str, str]] = self.cluster.shared.get("refused", {})
        return {name: why for names in recorded.values() for name, why in names.items()}

    def issued(self) -> list[tuple[str, Issued]]:
        """Return what has been signed, each with the name of its unit or application."""
        found: list[tuple[str, Issued]] = []
        for relation in self._requirers():
            requests = tls_certificates.read_requests(relation)
            names = {one.csr: one.unit or relation.app.name for one in requests}
            signed = tls_certificates.read_issued(relation, self.model.app)
            found += [(names.get(one.csr, relation.app.name), one) for one in signed]
        return found

    def _requirers(self, only: ops.Relation | None = None) -> list[ops.Relation]:
        """Return the relations to requirers that are not about to end, or the one of them that is named."""
        return self._active("certificates", only)

    def _receivers(self, only: ops.Relation | None = None) -> list[ops.Relation]:
        """Return the relations to those that get the bundle only, or the one of them that is named."""
        return self._active("send-ca-cert", only)

    def _active(self, endpoint: str, only: ops.Relation | None) -> list[ops.Relation]:
        active = [relation for relation in self.model.relations[endpoint] if relation.active]
        return active if only is None else [relation for relation in active if relation.id == only.id]


def _is_of(succession: Succession, issued: Issued) -> bool:
    return issued.issuer == succession.signing.certificate and not issued.revoked
