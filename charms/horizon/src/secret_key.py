"""The key that units sign sessions with: one for all of them, so that each takes what another one has signed."""

from __future__ import annotations

import secrets
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model.status import NotYetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_charm.model.secrets import Own

LABEL = "secret-key"
_BYTES = 48


@dataclass(frozen=True, slots=True)
class SecretKey:
    """The key, in a secret of the application."""

    secret: Own
    _: KW_ONLY
    is_leader: Callable[[], bool]

    def get(self) -> str:
        """Return the key.

        Raises:
            NotYetError: The leader has not made it, or Juju has not recorded it yet: a hook that fails would lose it.
        """
        if key := self.secret.read().get("key"):
            return key
        if not self.is_leader():
            raise NotYetError("for the leader to make the key of sessions")
        self.secret.put({"key": secrets.token_urlsafe(_BYTES)})
        raise NotYetError("for Juju to record the key of sessions; the next hook goes on")
