"""Sign requests anew."""

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

    requirer: str = ""
    dry_run: bool = False


def run(charm: CertificatesCharm, params: Params) -> Outcome:
    """Replace certificates; requirers take them as they take renewed ones.

    Raises:
        ActionError: This is not the leader, nobody of that name has a certificate, or nothing can be signed now.
    """
    require_leader(charm, "reissue")
    current = succession(charm)
    names = sorted({name for name, _ in charm.requirers.issued() if _is_meant(name, params.requirer)})
    if not names:
        known = ", ".join(sorted({name for name, _ in charm.requirers.issued()})) or "none"
        raise ActionError(f"requirer={params.requirer}: has no certificate; those that have are {known}")
    if params.dry_run:
        return Outcome(summary=f"would sign anew for {', '.join(names)}", result=names)
    try:
        settings = charm.settings
        charm.keys.read(current.signing)
    except (ConfigError, NoKeyError) as error:
        raise ActionError(f"nothing can be signed now: {error}") from error
    charm.requirers.serve(current, settings.validity, anew=set(names).__contains__)
    return Outcome(summary=f"signed anew for {', '.join(names)}", result=names)


def _is_meant(name: str, requirer: str) -> bool:
    return not requirer or requirer in {name, name.partition("/")[0]}
