"""The charm's actions, one module each; `openinfra_charm.model.actions` runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinfra_charm.model.actions import ActionError

if TYPE_CHECKING:
    from charm import CertificatesCharm
    from state import Succession


def succession(charm: CertificatesCharm) -> Succession:
    """Return the CAs.

    Raises:
        ActionError: There is none yet.
    """
    found = charm.succession
    if found is None:
        raise ActionError("the leader has not made a CA yet: try again when the units are active")
    return found
