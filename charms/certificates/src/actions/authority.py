"""The CA, and the certificates that it has signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keys import NoKeyError
from openinfra_charm.model.actions import ActionError, Outcome, failing_on, require_leader
from openinfra_charm.model.status import ConfigError

if TYPE_CHECKING:
    from charm import CertificatesCharm
    from state import Settings, Succession


def get_ca(charm: CertificatesCharm) -> Outcome:
    """Return the bundle as one text.

    Raises:
        ActionError: There is no CA yet.
    """
    bundle = _succession(charm).bundle
    return Outcome(
        summary=f"{len(bundle)} CA certificates to trust"
        if len(bundle) > 1
        else "one CA certificate to trust",
        texts={"ca": "".join(f"{one}\n" for one in bundle)},
    )


def list_certificates(charm: CertificatesCharm) -> Outcome:
    """Look into each certificate that is handed out.

    Raises:
        ActionError: This is not the leader, whom alone Juju lets read them, or there is no CA yet.
    """
    require_leader(charm, "list-certificates")
    _succession(charm)
    signed = [
        {"requirer": name, **charm.signer.describe(one.certificate)} for name, one in charm.requirers.issued()
    ]
    refused = [{"requirer": name, "reason": why} for name, why in charm.requirers.refusals().items()]
    return Outcome(
        summary=f"{len(signed)} certificates; {len(refused)} requests are refused",
        result={"certificates": signed, "refused": refused},
    )


def reissue(charm: CertificatesCharm, *, requirer: str = "", dry_run: bool = False) -> Outcome:
    """Replace certificates; requirers take them as they take renewed ones.

    Raises:
        ActionError: This is not the leader, nobody of that name has a certificate, or nothing can be signed now.
    """
    require_leader(charm, "reissue")
    current = _succession(charm)
    names = sorted({name for name, _ in charm.requirers.issued() if _is_meant(name, requirer)})
    if not names:
        known = ", ".join(sorted({name for name, _ in charm.requirers.issued()})) or "none"
        raise ActionError(f"requirer={requirer}: has no certificate; those that have are {known}")
    if dry_run:
        return Outcome(summary=f"would sign anew for {', '.join(names)}", result=names)
    settings = _settings(charm, current)
    charm.requirers.serve(current, settings.validity, anew=set(names).__contains__)
    return Outcome(summary=f"signed anew for {', '.join(names)}", result=names)


def renew_ca(charm: CertificatesCharm, *, dry_run: bool = False) -> Outcome:
    """Announce a new CA; the reconcile goes on as all acknowledge.

    Raises:
        ActionError: This is not the leader, one is being introduced already, or the CA is an operator's.
    """
    require_leader(charm, "renew-ca")
    current = _succession(charm)
    if current.old or current.new:
        raise ActionError("a new CA is being introduced already; the leader's status says for whom it waits")
    settings = _settings(charm, current)
    if settings.secret:
        raise ActionError(
            "this CA is the operator's: update the secret that ca-secret names with the next one"
        )
    holders = charm.requirers.holders()
    silent = sorted({one.name for one in holders if not one.trusts})
    served = sorted({one.name for one in holders if one.issued})
    result = {"requirers": served, "never-acknowledged": silent}
    if dry_run:
        return Outcome(
            summary=f"would give new certificates to {len(served)} requirers; "
            f"{len(silent)} have never acknowledged a CA and are given acknowledgement-grace",
            result=result,
        )
    charm.carry_on(settings, current.announce(charm.make_authority(settings), charm.machine.now()))
    return Outcome(summary="a new CA is announced; the leader's status shows the progress", result=result)


def _succession(charm: CertificatesCharm) -> Succession:
    """Return the CAs.

    Raises:
        ActionError: There is none yet.
    """
    found = charm.succession
    if found is None:
        raise ActionError("the leader has not made a CA yet: try again when the units are active")
    return found


def _settings(charm: CertificatesCharm, current: Succession) -> Settings:
    """Return the options, where they and the key of the CA are such that something can be signed.

    Raises:
        ActionError: They are not.
    """
    with failing_on(ConfigError, NoKeyError, words="nothing can be signed now: {}"):
        charm.keys.read(current.signing)
        return charm.settings


def _is_meant(name: str, requirer: str) -> bool:
    return not requirer or requirer in {name, name.partition("/")[0]}
