"""Names that the model makes up."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

_XID_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_XID_LENGTH = 20


class Ids:
    """Makes names from a source of randomness: the system's in production, a seeded one in a rehearsal."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def uuid(self) -> str:
        """Return a random UUID (version 4)."""
        return str(uuid.UUID(int=self._source.getrandbits(128), version=4))

    def secret(self) -> str:
        """Return the id of a secret: twenty letters of base32hex, as Juju's."""
        return "".join(self._source.choice(_XID_ALPHABET) for _ in range(_XID_LENGTH))

    def context(self) -> str:
        """Return the unguessable tail of a hook context's id."""
        return f"{self._source.getrandbits(128):032x}"
