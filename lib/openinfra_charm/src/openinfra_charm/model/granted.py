"""Users that an application makes in its software for those related to it, one relation each.

A password is never changed in place. A second user is made and handed out in the next revision of the relation's secret; when
Juju says that nobody reads the revision before any more, the first user is *retired*, and dropped as soon as the software answers.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class NotTakenUpError(Exception):
    """The last rotation has not come to its end: `user` has been handed out, and `before` is still used."""

    def __init__(self, user: str, before: str) -> None:
        super().__init__(f"{user} has not been taken up yet; {before} goes when it has")
        self.user = user
        self.before = before


class Software(Protocol):
    """What the users are of. Both verbs may be repeated."""

    def make(self, user: str, password: str) -> None:
        """Have a user with this password and the rights that its relation asks for."""
        ...

    def drop(self, user: str) -> None:
        """Have no such user."""
        ...


class Store(Protocol):
    """Where a relation finds its user's name and password: a secret (`secrets.Own`) or, where it must be, plain data."""

    def read(self) -> Mapping[str, str]:
        """Return `username` and `password`; empty where nothing was handed out."""
        ...

    def put(self, content: Mapping[str, str]) -> str:
        """Hand them out; return the secret's id."""
        ...

    def remove(self) -> None:
        """Take back what was handed out."""
        ...


class Granted:
    """The users of one relation, as its application's leader has them.

    Args:
        users: Those recorded, the newest last: more than one while a password is being rotated.
        retired: Those recorded that nobody uses any more, to be dropped.
        record: What records both.
        store: Where the relation finds its user.
        software: What the users are of.
    """

    def __init__(
        self,
        *,
        users: Sequence[str],
        retired: Sequence[str],
        record: Callable[[list[str], list[str]], None],
        store: Store,
        software: Software,
    ) -> None:
        self.users = list(users)
        self.retired = list(retired)
        self._record = record
        self._store = store
        self._software = software

    def hand_out(self, first: str) -> str:
        """Have the relation's user, `first` where there is none yet, in the software as in the secret; return the secret's id.

        A hook that dies in between begins again: the same user then gets another password.
        """
        held = self._store.read()
        user = held.get("username") or (self.users[-1] if self.users else first)
        password = held.get("password") or new_password()
        if not self.users:
            self._save([user], self.retired)
        self._software.make(user, password)
        return self._store.put({"username": user, "password": password})

    def rotate(self) -> str:
        """Make a second user and hand it out; return its name.

        Raises:
            NotTakenUpError: The user before the present one is still used; nothing was changed.
        """
        if len(self.users) > 1:
            raise NotTakenUpError(self.users[-1], self.users[0])
        stem, _, number = self.users[-1].rpartition("-")
        user, password = f"{stem}-{int(number) + 1}", new_password()
        self._software.make(user, password)
        self._store.put({"username": user, "password": password})
        self._save([*self.users, user], self.retired)
        return user

    def retire(self) -> None:
        """Note that nobody uses any user but the newest: the secret's earlier revisions are obsolete."""
        self._save(self.users[-1:], [*self.retired, *self.users[:-1]])

    def drop_retired(self) -> None:
        """Drop those users that nobody uses any more."""
        if self.retired:
            for user in self.retired:
                self._software.drop(user)
            self._save(self.users, [])

    def withdraw(self) -> None:
        """Drop all users and take back what was handed out: the relation is gone."""
        for user in (*self.retired, *self.users):
            self._software.drop(user)
        self._store.remove()
        self._save([], [])

    def _save(self, users: list[str], retired: list[str]) -> None:
        self.users, self.retired = users, retired
        self._record(users, retired)


def new_password() -> str:
    """Return a password that nobody guesses."""
    return secrets.token_urlsafe(24)
