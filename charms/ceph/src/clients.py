"""The `client` endpoint: pools and keys for other applications (the broker of Charmed Ceph's clients).

The leader's record of a relation is in the peer relation: under `client-<id>` the name of its Ceph user, without `client.`, which is
asked for when the client is gone, and under `rights-<id>` what that may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import broker
import cephx
from openinfra_charm.interfaces import ceph_client
from openinfra_charm.model import databag
from openinfra_charm.model.granted import Grants, Records, wants_plain
from rights import CREATE, PERMISSIONS, Owners, Rights, check_permissions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ops

    from admin import Admin
    from members import Member
    from openinfra_charm.model.cluster import Cluster

RESERVED = {"admin", "crash"}
_USER, _RIGHTS = "client", "rights"


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
        self._records = Records(cluster, facts=(_USER, _RIGHTS))
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
            self.withdraw_departed()

    def withdraw_departed(self) -> None:
        """As the leader, take away the keys of clients that are gone; their pools and data stay.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        for relation_id in self._grants.departed:
            self._admin.command("auth rm", entity=f"client.{self._records.read(relation_id)[_USER]}")
            self._grants.secret(relation_id).remove()
            self._records.forget(relation_id)

    def users(self) -> dict[str, ops.Relation]:
        """Return the clients' relations by their Ceph users."""
        relations = self._grants.relations.values()
        return {f"client.{ceph_client.read_client(relation).name}": relation for relation in relations}

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
        """Publish a new key to a client; Ceph takes the old one until the client has used the new one."""
        client = ceph_client.read_client(relation)
        self._publish(relation, client, cephx.pending_key(self._admin, f"client.{client.name}", key_type))

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
            key = broker.make_user(self._admin, f"client.{client.name}", caps)
            if caps != known.get(_RIGHTS):
                self._admin.command("auth caps", entity=f"client.{client.name}", caps=caps)
            self._records.note(relation.id, **{_USER: client.name, _RIGHTS: caps})
            self._publish(relation, client, key)
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
        others = {self._records.read(number)[_USER] for number in self._records if number != relation.id}
        return f"application-name={name}: another client's user; name another" if name in others else None

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

    def _publish(self, relation: ops.Relation, client: ceph_client.Client, key: str) -> None:
        if not client.takes_secret:
            ceph_client.publish_key(relation, self._model.unit, key)
            return
        secret_id = self._grants.secret(relation.id).put({"key": key})
        ceph_client.publish_secret(relation, self._model.app, secret_id)
