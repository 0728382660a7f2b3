"""Credentials that an application makes in its software for those related to it, one relation each.

A password is never changed in place. A second user is made and published in the next revision of the relation's secret; when
Juju says that nobody reads the revision before any more, the first user is *retired*, and dropped as soon as the software answers.

What the leader has granted is on record in the peer relation (`Records`). `Grants` is built on that: who may have what, and how
it is made, is the charm's; what becomes of it is here.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Protocol

import ops
import ops.hookcmds

from openinfra_charm.model.actions import ActionError
from openinfra_charm.model.secrets import Own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from openinfra_charm.model.cluster import Cluster


class RotationError(ActionError):
    """A credential cannot be rotated now; the message says why, and what can be done. Nothing was changed."""


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
        """Return `username` and `password`; empty where nothing was published."""
        ...

    def put(self, content: Mapping[str, str]) -> str:
        """Publish them; return the secret's id."""
        ...


class Records:
    """What the leader has recorded of relations, in the peer relation: facts by name.

    Args:
        cluster: The peer relation.
        key: What the keys begin with, before a relation's id: `client-7` holds all that is recorded of the relation 7.
        facts: The names of all facts, where each has a key of its own: `users-7`. Then there is no `key`.
    """

    def __init__(self, cluster: Cluster, key: str = "", *, facts: Sequence[str] = ()) -> None:
        self._cluster = cluster
        self._key = key
        self._facts = facts

    def __iter__(self) -> Iterator[int]:
        """Return the ids of all relations of which something is recorded."""
        names = self._facts or (self._key,)
        found = (key.rpartition("-") for key in self._cluster.shared)
        return iter(dict.fromkeys(int(number) for name, _, number in found if name in names))

    def read(self, relation_id: int) -> dict[str, Any]:
        """Return the facts of a relation; empty where nothing is recorded."""
        shared = self._cluster.shared
        if not self._facts:
            return shared.get(f"{self._key}-{relation_id}", {})
        return {name: shared[key] for name in self._facts if (key := f"{name}-{relation_id}") in shared}

    def note(self, relation_id: int, **facts: Any) -> None:
        """As the leader, record facts of a relation; None takes one back."""
        if self._facts:
            self._cluster.publish_shared(**{f"{name}-{relation_id}": fact for name, fact in facts.items()})
            return
        known = {**self.read(relation_id), **facts}
        kept = {name: fact for name, fact in known.items() if fact is not None}
        self._cluster.publish_shared(**{f"{self._key}-{relation_id}": kept or None})

    def forget(self, relation_id: int) -> None:
        """As the leader, take all facts of a relation back."""
        self.note(relation_id, **dict.fromkeys(self.read(relation_id)))


class Grants:
    """What an application grants to all relations of a kind, by the records of its leader.

    Of a relation there may be recorded: `users`, the newest last, which are more than one while a password is being rotated;
    `retired`, users that nobody uses any more, to be dropped; `answers`, a digest of all that the present answer was made of;
    `refused`, such a digest and why the software refused it; and what else the charm notes.

    Args:
        model: The model.
        endpoints: The endpoints of the relations.
        records: Their records.
        label: What the labels of their secrets begin with, before a relation's id.
    """

    def __init__(self, model: ops.Model, endpoints: Iterable[str], *, records: Records, label: str) -> None:
        self._model = model
        self._endpoints = tuple(endpoints)
        self._label = label
        self.records = records

    @property
    def relations(self) -> dict[int, ops.Relation]:
        """The relations that there are, by id; not those that are about to end."""
        found = (one for endpoint in self._endpoints for one in self._model.relations[endpoint])
        return {relation.id: relation for relation in found if relation.active}

    def secret(self, relation_id: int) -> Own:
        """Return the secret of a relation, which is granted to the relation when it is made."""
        relation = self.relations.get(relation_id)
        return Own(self._model, self._model.app, f"{self._label}-{relation_id}", relation)

    # Users. `software` is what those of a relation are of; `store` where they are published, if not in the relation's secret

    def users(self, relation_id: int) -> list[str]:
        """Return the users of a relation, the newest last."""
        return list(self.records.read(relation_id).get("users", ()))

    @property
    def all_users(self) -> set[str]:
        """The users of all relations."""
        return {user for relation_id in self.records for user in self.users(relation_id)}

    def publish(self, relation_id: int, first: str, software: Software, store: Store | None = None) -> str:
        """Have a relation's user, `first` where there is none yet, in the software as in the secret; return the secret's id.

        A hook that dies in between begins again: the same user then gets another password.
        """
        store = store or self.secret(relation_id)
        held, users = store.read(), self.users(relation_id)
        user = held.get("username") or (users[-1] if users else first)
        password = held.get("password") or new_password()
        if not users:
            self._save(relation_id, [user], self._retired(relation_id))
        software.make(user, password)
        return store.put({"username": user, "password": password})

    def rotate(self, relation: ops.Relation, software: Software, store: Store | None = None) -> str:
        """Make a second user of a relation and publish it; return the words for the operator.

        Raises:
            RotationError: The user before the present one is still used.
        """
        users, application = self.users(relation.id), relation.app.name
        if len(users) > 1:
            raise RotationError(
                f"{application} does not use {users[-1]} everywhere yet, and {users[0]} is dropped when it does: "
                "see the status of its units"
            )
        stem, _, number = users[-1].rpartition("-")
        user, password = f"{stem}-{int(number) + 1}", new_password()
        software.make(user, password)
        (store or self.secret(relation.id)).put({"username": user, "password": password})
        self._save(relation.id, [*users, user], self._retired(relation.id))
        return f"{application} has the new user {user}; {users[-1]} is dropped when no unit uses it any more"

    def find(self, relation_id: int) -> ops.Relation:
        """Return a relation that has a user, for an operator who has named it.

        Raises:
            RotationError: There is none of that id.
        """
        granted = {number: one for number, one in self.relations.items() if self.users(number)}
        if relation_id not in granted:
            known = [f"{number} ({relation.app.name})" for number, relation in sorted(granted.items())]
            raise unknown(f"relation-id={relation_id}", known)
        return granted[relation_id]

    def retire(self, label: str) -> None:
        """As the leader, note that nobody reads earlier revisions of a secret any more: the users in them are not used.

        A secret of another kind is passed over.
        """
        kind, _, number = label.rpartition("-")
        if kind == self._label and (users := self.users(int(number))):
            self._save(int(number), users[-1:], [*self._retired(int(number)), *users[:-1]])

    def drop_retired(self, software: Callable[[], Software]) -> None:
        """As the leader, drop the users that nobody uses any more."""
        for relation_id in self.records:
            if retired := self._retired(relation_id):
                for user in retired:
                    software().drop(user)
                self._save(relation_id, self.users(relation_id), [])

    @property
    def departed(self) -> list[int]:
        """The relations of which something is recorded and that are gone: what they were granted is to be withdrawn.

        Juju shows a new unit no relation before its `relation-created`, and it may lead by then. As long as the model has an application
        on these endpoints that this unit has not met, none counts as gone. From a unit that leaves Juju takes one relation after the
        other, whether they go or not: that is for who leads then.
        """
        present = self.relations
        gone = [relation_id for relation_id in self.records if relation_id not in present]
        if not gone:
            return []
        goals = ops.hookcmds.goal_state()
        leaves = (goal := goals.units.get(self._model.unit.name)) is not None and goal.status == "dying"
        return [] if leaves or self._unmet(goals.relations) else gone

    def _unmet(self, planned: Mapping[str, Mapping[str, ops.hookcmds.Goal]]) -> set[str]:
        """Return the applications on these endpoints that the model has and that this unit has not met."""
        names = {
            name for endpoint in self._endpoints for name in planned.get(endpoint, {}) if "/" not in name
        }
        met = {one.app.name for endpoint in self._endpoints for one in self._model.relations[endpoint]}
        # ops leaves the relation out whose last hook this is.
        return names - met - {ops.JujuContext.from_environ().remote_app_name or ""}

    def withdraw(self, relation_id: int, software: Software) -> None:
        """As the leader, drop all users of a relation that is gone, take back what was published, and forget the relation."""
        for user in (*self._retired(relation_id), *self.users(relation_id)):
            software.drop(user)
        self.secret(relation_id).remove()
        self.records.forget(relation_id)

    def _retired(self, relation_id: int) -> list[str]:
        return list(self.records.read(relation_id).get("retired", ()))

    def _save(self, relation_id: int, users: list[str], retired: list[str]) -> None:
        self.records.note(relation_id, users=users or None, retired=retired or None)

    # What was asked for, and what became of it

    def is_settled(self, relation_id: int, digest: str) -> bool:
        """Return whether what this digest stands for was answered, or refused."""
        known = self.records.read(relation_id)
        return digest in (known.get("answers"), *known.get("refused", ())[:1])

    def answered(self, relation_id: int, digest: str) -> None:
        """As the leader, note that a relation has its answer."""
        self.records.note(relation_id, answers=digest, refused=None)

    def refuse(self, relation_id: int, digest: str, why: str) -> None:
        """As the leader, note why the software refuses what a relation asks for."""
        self.records.note(relation_id, refused=[digest, why])

    def refusal(self, relation_id: int, digest: Callable[[], str]) -> str:
        """Return why the software refuses what a relation asks for, whose digest is that of now; empty where it does not."""
        refused = self.records.read(relation_id).get("refused")
        return refused[1] if refused and refused[0] == digest() else ""


def unknown(asked: str, known: Iterable[str]) -> RotationError:
    """Return the error for an operator who has named what was never granted."""
    return RotationError(f"{asked}: unknown here; credentials were granted to {', '.join(known) or 'nobody'}")


def wants_plain(application: str, what: str) -> str:
    """Say that a client without secrets gets no credentials (`what`: its password, its key), and what can be done."""
    return f"{application} wants its {what} in plain relation data: set allow-plain-credentials=true, or use a client with secrets"


def new_password() -> str:
    """Return a password that nobody guesses."""
    return secrets.token_urlsafe(24)
