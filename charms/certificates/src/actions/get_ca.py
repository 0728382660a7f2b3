"""Show the CA certificates to trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actions import succession
from openinfra_charm.model.actions import NoParams as Params
from openinfra_charm.model.actions import Outcome

if TYPE_CHECKING:
    from charm import CertificatesCharm


def run(charm: CertificatesCharm, _: Params) -> Outcome:
    """Return the bundle as one text.

    Raises:
        ActionError: There is no CA yet.
    """
    bundle = succession(charm).bundle
    return Outcome(
        summary=f"{len(bundle)} CA certificates to trust"
        if len(bundle) > 1
        else "one CA certificate to trust",
        texts={"ca": "".join(f"{one}\n" for one in bundle)},
    )
