"""The `client` endpoint: pools and keys for other applications (the broker of Charmed Ceph's clients).

The leader's record of a relation is in the peer relation: under `client-<id>` the name of its Ceph user, without `client.`, which is
asked for when the client is gone, and under `rights-<id>` what that may do; while a key is being replaced under `users-<id>` and `retired-<id>`
what `model.granted` has there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import broker
import cephx
from openinfra_charm.interfaces import ceph_client
from openinfra_charm.model import databag
from openinfra_charm.model.granted import Grants, Records, RotationError, wants_plain
from rights import CREATE, PERMISSIONS, Owners, Rights, check_permissions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ops

    from admin import Admin
    from members import Member
    from openinfra_charm.model.cluster import Cluster

RESERVED = {"admin", "crash"}
_USER, _RIGHTS, _RETIRED = "client", "rights", "retired"


class Clients:
    """All related applications that have Ceph users here.

    Args:
        model: The model.
        cluster: Where the leader records what it has made.
        admin: Ceph.
    """

    def __init__(self, model: ops.Model, *, cluster: Cluster, admin: Admin) -> None:
        self._model = model
        self._admin = admin
        self._records = Records(cluster, facts=(_USER, _RIGHTS, "users", _RETIRED))
        self._owners = Owners(admin)
        self._grants = Grants(model, ("client",), records=self._records, label="client")

    def serve(self, me: Member, *, allows_plain: bool, shared: Mapping[str, frozenset[str]]) -> None:
        """Answer what related clients ask for. The leader makes pools and keys; each unit publishes its monitor.

        Args:
            me: This unit.
            allows_plain: Whether clients without secrets get their key in plain relation data.
            shared: Which pools of others an application may use.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        is_leader = self._model.unit.is_leader()
        for relation in self._grants.relations.values():
            ceph_client.publish_monitor(relation, self._model.unit, me.public_address if me.monitor else None)
        if is_leader:
            for relation, client in self._read(allows_plain=allows_plain)[0].items():
                self._answer(relation, client, shared.get(relation.app.name, frozenset()))
            self._drop_retired()
            self.withdraw_departed()

    def withdraw_departed(self) -> None:
        """As the leader, take away the keys of clients that are gone; their pools and data stay.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        for relation_id in self._grants.departed:
            for user in (*self._users(relation_id), *self._records.read(relation_id).get(_RETIRED, ())):
                self._admin.command("auth rm", entity=f"client.{user}")
            self._grants.secret(relation_id).remove()
            self._records.forget(relation_id)

    def users(self) -> dict[str, ops.Relation]:
        """Return the clients' relations by the Ceph users that they have now."""
        return {
            f"client.{(self._users(number) or [ceph_client.read_client(relation).name])[-1]}": relation
            for number, relation in self._grants.relations.items()
        }

    def retire(self, label: str) -> None:
        """As the leader, note that nobody reads earlier revisions of a secret any more: the users in them are not used."""
        self._grants.retire(label)

    def _users(self, relation_id: int) -> list[str]:
        """Return the users of a relation without `client.`, the newest last; none before it has one."""
        known = self._records.read(relation_id)
        return self._grants.users(relation_id) or ([known[_USER]] if _USER in known else [])

    def _drop_retired(self) -> None:
        for relation_id in self._records:
            if retired := self._records.read(relation_id).get(_RETIRED):
                for user in retired:
                    self._admin.command("auth rm", entity=f"client.{user}")
                self._records.note(relation_id, **{_RETIRED: None})

    def problems(self, *, allows_plain: bool) -> list[str]:
        """Return why clients do not get what they ask for."""
        return self._read(allows_plain=allows_plain)[1]

    def _read(self, *, allows_plain: bool) -> tuple[dict[ops.Relation, ceph_client.Client], list[str]]:
        """Return the clients that can be served as they ask, and why others cannot."""

        def read(relation: ops.Relation) -> ceph_client.Client:
            client = ceph_client.read_client(relation)
            if client.requests and not (client.takes_secret or allows_plain):
                raise databag.RelationError(wants_plain(relation.app.name, "key"))
            return client

        return databag.read_each(self._grants.relations.values(), read)

    def rotate(self, relation: ops.Relation, key_type: str) -> None:
        """Publish a new key to a client.

        It is another user's, and the one before goes when no unit uses it any more: Ceph would take a user's old key until one of the
        client's processes has used the new one, and shut the others out. A client that knows no other user has it that way.

        Raises:
            RotationError: The user before the present one is still used.
        """
        client = ceph_client.read_client(relation)
        if not client.takes_user:
            key = cephx.pending_key(self._admin, f"client.{client.name}", key_type)
            self._publish(relation, client, client.name, key)
            return
        users = self._users(relation.id)
        if len(users) > 1:
            raise RotationError(
                f"{relation.app.name} does not use client.{users[-1]} everywhere yet, and client.{users[0]} is dropped when it does: "
                "see the status of its units"
            )
        number = users[-1].removeprefix(f"{client.name}-")
        user = f"{client.name}-{int(number) + 1 if number.isdecimal() else 2}"
        if user in self._taken(relation.id):
            raise RotationError(f"client.{user} would be the new user, and is another client's")
        caps: list[str] = self._records.read(relation.id)[_RIGHTS]
        key = broker.make_user(self._admin, f"client.{user}", caps, key_type)
        self._publish(relation, client, user, key)
        self._records.note(relation.id, users=[*users, user])

    def _answer(self, relation: ops.Relation, client: ceph_client.Client, shared: frozenset[str]) -> None:
        """Carry out what a client's units ask for, and publish its key.

        What was refused is tried again, as the operator may have put that right, and rights end that he allows no more.
        """
        unit, application = self._model.unit, relation.app.name
        if why := self._objection(relation, client.name):
            for request in client.requests:
                ceph_client.answer(relation, unit, request, why)
            return
        waiting = [one for one in client.requests if not ceph_client.is_done(relation, unit, one)]
        known = self._records.read(relation.id)
        if _USER in known and _RIGHTS not in known:
            self._adopt(application, client)
        rights = Rights(application, self._owners, shared)
        failures = {one.unit: why for one in waiting if (why := self._carry_out(client.name, one, rights))}
        caps, refused = rights.granted(client.requests)
        if client.requests and (waiting or caps != known.get(_RIGHTS)):
            users = self._users(relation.id) or [client.name]
            keys = [broker.make_user(self._admin, f"client.{user}", caps) for user in users]
            if caps != known.get(_RIGHTS):
                for user in users:
                    self._admin.command("auth caps", entity=f"client.{user}", caps=caps)
            self._records.note(relation.id, **{_USER: client.name, _RIGHTS: caps})
            self._publish(relation, client, users[-1], keys[-1])
        for request in client.requests:
            ceph_client.answer(
                relation, unit, request, failures.get(request.unit) or refused.get(request.unit)
            )

    def _adopt(self, application: str, client: ceph_client.Client) -> None:
        """Record that pools are a client's which it had before that was recorded."""
        for request in client.requests:
            for operation in request.operations:
                if operation.get("op") == CREATE and "name" in operation:
                    self._owners.claim(str(operation["name"]), application)

    def _objection(self, relation: ops.Relation, name: str) -> str | None:
        """Return why a client cannot have the Ceph user it names: it is Ceph's own, or another client's."""
        if name in RESERVED or name.startswith(("bootstrap-", "rgw.")):
            return f"application-name={name}: Ceph's own user; name another"
        taken = name in self._taken(relation.id)
        return f"application-name={name}: another client's user; name another" if taken else None

    def _taken(self, relation_id: int) -> set[str]:
        """Return the users of all other clients."""
        return {user for number in self._records if number != relation_id for user in self._users(number)}

    def _carry_out(self, name: str, request: ceph_client.Request, rights: Rights) -> str | None:
        """Carry a request out, as far as it is for pools; return why it could not be, if so."""

        def permit(operation: Mapping[str, Any]) -> None:
            if (other := operation.get("client", name)) != name:
                raise broker.RefusedError(f"client={other}: this relation can only change {name}")
            check_permissions(operation)

        def create_pool(operation: Mapping[str, Any]) -> None:
            pool = str(operation["name"])
            if not self._owners.of(pool) and pool not in self._admin.command("osd pool ls"):
                # First: a pool that is there, and nobody's, is the operator's.
                self._owners.claim(pool, rights.application)
            rights.check(pool)
            if not broker.create_pool(self._admin, operation) and rights.owns(pool):
                broker.fit_pool(self._admin, operation)

        return broker.carry_out(request, {CREATE: create_pool, **dict.fromkeys(PERMISSIONS, permit)})

    def _publish(self, relation: ops.Relation, client: ceph_client.Client, user: str, key: str) -> None:
        if not client.takes_secret:
            ceph_client.publish_key(relation, self._model.unit, key)
            return
        named = {} if user == client.name else {"username": user}
        secret_id = self._grants.secret(relation.id).put({"key": key, **named})
        ceph_client.publish_secret(relation, self._model.app, secret_id)
