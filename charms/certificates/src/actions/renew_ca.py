"""Make a new CA, and begin to introduce it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actions import succession
from keys import NoKeyError
from openinfra_charm.model.actions import ActionError, Outcome, require_leader
from openinfra_charm.model.status import ConfigError

if TYPE_CHECKING:
    from charm import CertificatesCharm


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """The action's parameters."""

    dry_run: bool = False


def run(charm: CertificatesCharm, params: Params) -> Outcome:
    """Announce a new CA; the reconcile goes on as all acknowledge.

    Raises:
        ActionError: This is not the leader, one is being introduced already, or the CA is an operator's.
    """
    require_leader(charm, "renew-ca")
    current = succession(charm)
    if current.old or current.new:
        raise ActionError("a new CA is being introduced already; the leader's status says for whom it waits")
    try:
        settings = charm.settings
        charm.keys.read(current.signing)
    except (ConfigError, NoKeyError) as error:
        raise ActionError(f"nothing can be signed now: {error}") from error
    if settings.secret:
        raise ActionError(
            "this CA is the operator's: update the secret that ca-secret names with the next one"
        )
    holders = charm.requirers.holders()
    silent = sorted({one.name for one in holders if not one.trusts})
    served = sorted({one.name for one in holders if one.issued})
    result = {"requirers": served, "never-acknowledged": silent}
    if params.dry_run:
        return Outcome(
            summary=f"would give new certificates to {len(served)} requirers; "
            f"{len(silent)} have never acknowledged a CA and are given acknowledgement-grace",
            result=result,
        )
    charm.carry_on(settings, current.announce(charm.make_authority(settings), charm.machine.now()))
    return Outcome(summary="a new CA is announced; the leader's status shows the progress", result=result)
