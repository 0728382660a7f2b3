"""The keys of tokens and stored credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keys import TooEarlyError
from openinfra_charm.model.actions import Outcome, failing_on, require_leader

if TYPE_CHECKING:
    from charm import KeystoneCharm


def rotate_keys(charm: KeystoneCharm) -> Outcome:
    """Put the staged keys into use and stage new ones, which every unit then acknowledges.

    Raises:
        ActionError: This is not the leader, or a unit does not have the staged keys yet; nothing was changed.
    """
    require_leader(charm, "rotate-keys")
    with failing_on(TooEarlyError):
        following = charm.keys.rotate()
    charm.keys.advance()
    return Outcome(
        summary=f"tokens are encrypted with key {following.primary} now; {len(following.fernet)} keys decrypt them",
        result={"generation": following.generation, "keys": sorted(following.fernet)},
    )
