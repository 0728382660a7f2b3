"""List what has been signed, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actions import succession
from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome, require_leader

if TYPE_CHECKING:
    from charm import CertificatesCharm


def run(charm: CertificatesCharm, _: Params) -> Outcome:
    """Look into each certificate that is handed out.

    Raises:
        ActionError: This is not the leader, whom alone Juju lets read them, or there is no CA yet.
    """
    require_leader(charm, "list-certificates")
    succession(charm)
    signed = [
        {"requirer": name, **charm.signer.describe(one.certificate)} for name, one in charm.requirers.issued()
    ]
    refused = [{"requirer": name, "reason": why} for name, why in charm.requirers.refusals().items()]
    return Outcome(
        summary=f"{len(signed)} certificates; {len(refused)} requests are refused",
        result={"certificates": signed, "refused": refused},
    )
