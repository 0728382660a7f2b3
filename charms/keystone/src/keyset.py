"""One generation of the keys that tokens and stored credentials are encrypted with.

Keystone's own rules (keystone/common/fernet_utils.py): key 0 is staged, it only decrypts; the highest number is in use;
those between decrypt what was encrypted before. A rotation gives the staged key the next number and stages a new one.
"""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

KINDS = ("fernet", "credential")
"""Keys of tokens, keys of stored credentials."""
CREDENTIAL_KEYS = 32
"""How many of these are kept: a backup of some weeks ago has credentials that were encrypted with one of them. Keystone's own
rotation keeps 3 (keystone/credential/providers/fernet/core.py); its processes read as many as there are.
"""
_FERNET = re.compile(r"[A-Za-z0-9_-]{43}=")
EXPIRED_WINDOW = 2 * 86400
"""Seconds after its end in which a service may still show a user's token, for work that had begun."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeySet:
    """One generation of keys, by kind and number."""

    generation: int
    fernet: Mapping[int, str]
    credential: Mapping[int, str]

    @classmethod
    def parse(cls, content: Mapping[str, str]) -> KeySet:
        """Read the secret's content."""
        kinds: dict[str, dict[int, str]] = {kind: {} for kind in KINDS}
        for name, value in content.items():
            kind, _, number = name.partition("-")
            if kind in kinds:
                kinds[kind][int(number)] = value
        return cls(
            generation=int(content["generation"]), fernet=kinds["fernet"], credential=kinds["credential"]
        )

    @classmethod
    def check(cls, content: Mapping[str, str]) -> KeySet:
        """Read what an operator gives: the secret's content of another model.

        Raises:
            ValueError: It is none; the message says what is wrong.
        """
        if not content.get("generation", "").isdecimal():
            raise ValueError("it needs generation, a number")
        for name in content:
            kind, _, number = name.partition("-")
            if kind in KINDS and not number.isdecimal():
                raise ValueError(f"{name} is no name of a key: they are {kind}-0, {kind}-1 and so on")
        found = cls.parse(content)
        for kind in KINDS:
            keys = found.of(kind)
            if 0 not in keys or len(keys) == 1:
                raise ValueError(f"it needs {kind}-0 and at least one more key of this kind")
            for number, key in keys.items():
                if not _FERNET.fullmatch(key):
                    raise ValueError(f"{kind}-{number} is no Fernet key (32 bytes in base64)")
        return found

    def content(self) -> dict[str, str]:
        """Return the secret's content; Juju wants names of at least three characters."""
        keys = {f"{kind}-{number}": key for kind in KINDS for number, key in self.of(kind).items()}
        return {"generation": f"{self.generation}", **keys}

    def of(self, kind: str) -> Mapping[int, str]:
        """Return the keys of a kind by number."""
        return self.fernet if kind == "fernet" else self.credential

    @property
    def primary(self) -> int:
        """The number of the key that tokens are encrypted with."""
        return max(self.fernet)

    def rotated(self, new_key: Callable[[], str], *, without: Iterable[int] = ()) -> KeySet:
        """Return the next generation; the tokens' keys `without` are not needed any more."""
        fernet = {number: key for number, key in self.fernet.items() if number not in set(without)}
        credential = _promoted(self.credential, new_key())
        while len(credential) > CREDENTIAL_KEYS:
            del credential[min(number for number in credential if number)]
        return KeySet(
            generation=self.generation + 1, fernet=_promoted(fernet, new_key()), credential=credential
        )


def first() -> KeySet:
    """Return a first generation: of each kind one key in use and one that is staged."""
    return KeySet(generation=1, fernet={0: new_key(), 1: new_key()}, credential={0: new_key(), 1: new_key()})


def new_key() -> str:
    """Return a new key as Fernet takes it: 32 random bytes, base64url."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _promoted(keys: Mapping[int, str], staged: str) -> dict[int, str]:
    others = {number: key for number, key in keys.items() if number}
    return {0: staged, **others, max(others) + 1: keys[0]}
