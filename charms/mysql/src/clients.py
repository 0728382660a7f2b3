"""The `database` endpoint: databases and users for other applications.

The leader's records of a relation are in the peer relation: `users-<id>`, `retired-<id>` and `refused-<id>`, as `granted.Grants`
has them; in `databases`, to which application each database was given.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from openinfra_charm.interfaces import mysql_client
from openinfra_charm.model import databag
from openinfra_charm.model.databag import RelationError
from openinfra_charm.model.granted import Grants, Records, RotationError, wants_plain
from openinfra_charm.model.secrets import Own
from sql import StatementError, name, pattern, quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import ops

    from mysql import MySql
    from openinfra_charm.interfaces.mysql_client import Request
    from openinfra_charm.model.cluster import Cluster
    from sql import Sql
    from state import Settings

ROLES = frozenset({"admin"})
"""Roles of the published format that are known here: `admin` may do everything."""
SYSTEM = frozenset({"mysql", "information_schema", "performance_schema", "sys"})
LONGEST = 64
"""The longest name of a database (MariaDB: identifier names)."""


@dataclass(kw_only=True)
class Clients:
    """All related applications that have databases here; what was made for them is recorded in `cluster`."""

    model: ops.Model
    cluster: Cluster
    mysql: MySql

    @cached_property
    def _grants(self) -> Grants:
        records = Records(self.cluster, facts=("users", "retired", "refused"))
        return Grants(self.model, ("database",), records=records, label="database")

    # As the leader

    def serve(self, settings: Settings, endpoints: str, ca: str) -> None:
        """Make what related applications ask for, and take back what no relation asks for any more.

        Args:
            settings: The charm's options.
            endpoints: Where clients find the database.
            ca: The CA that they verify it by, PEM; empty where all is in clear.
        """
        application, shared = self.model.app, self.cluster.shared
        version = self.mysql.version() if self._grants.relations else ""
        for relation, request in self._read(settings)[0].items():
            if restored := shared.get("restored"):
                mysql_client.publish_restored(relation, application, restored)
            if ca and not (shared.get("ca") == ca and mysql_client.tells_tls(relation, application)):
                self._publish_ca(relation, request, ca)
            if mysql_client.is_answered(relation, application, request):
                mysql_client.publish_endpoints(relation, application, endpoints=endpoints, version=version)
            elif self._make(relation, request):
                mysql_client.answer(relation, application, request, endpoints=endpoints, version=version)
        self.cluster.publish_shared(ca=ca or None)
        self._grants.drop_retired(self._users)
        for relation_id in self._grants.departed:
            # Its database and data stay.
            self._grants.withdraw(relation_id, self._users())
            self._ca_secret(relation_id).remove()

    def know_ca(self, settings: Settings) -> bool:
        """Return whether the CA was published to all clients that are served, in a hook before this one."""
        return all(mysql_client.tells_tls(relation, self.model.app) for relation in self._read(settings)[0])

    def make_anew(self) -> None:
        """Bring the users of data that were restored to what clients have, and drop those of nobody."""
        known = self._grants.all_users
        for row in self.mysql.sql.query("SELECT User FROM mysql.user WHERE User LIKE 'relation-%'"):
            if row[0] not in known:
                drop(self.mysql.sql, row[0])
        for relation in self._grants.relations.values():
            if self.users(relation.id) and (request := self._request(relation)):
                self._make(relation, request)

    def rotate(self, relation_id: int) -> str:
        """Make a second user of a relation and publish it in the secret's next revision; return the words for the operator.

        Raises:
            RotationError: The relation has no user, it takes no secrets, or the user before the present one is still used.
            UnreachableError: The database does not serve here.
            StatementError: It refuses.
        """
        relation = self._grants.find(relation_id)
        request = self._request(relation)
        if request is None or not request.takes_secrets:
            raise RotationError(
                f"{relation.app.name} reads its password from plain relation data and cannot say when it uses a new one: "
                "remove the relation and integrate the two again"
            )
        return self._grants.rotate(relation, self._users(request))

    def retire(self, label: str) -> None:
        """Note that nobody reads earlier revisions of a secret any more: users that were published in them go."""
        self._grants.retire(label)

    # What is known

    def users(self, relation_id: int) -> list[str]:
        """Return the users of a relation, the newest last: more than one while a password is being rotated."""
        return self._grants.users(relation_id)

    def problems(self, settings: Settings) -> Iterator[str]:
        """As the leader, yield what related applications ask for and do not get, and why."""
        served, problems = self._read(settings)
        yield from problems
        for relation, request in served.items():
            if refusal := self._grants.refusal(relation.id, partial(_digest, request)):
                yield f"{request.application}, relation {relation.id}: MariaDB refuses what it asks for: {refusal}"

    def _read(self, settings: Settings) -> tuple[dict[ops.Relation, Request], list[str]]:
        """As the leader, return what relations ask for that can be served, and why others cannot."""

        def read(relation: ops.Relation) -> Request | None:
            if request := self._request(relation):
                check(request, settings)
            return request

        return databag.read_each(self._grants.relations.values(), read)

    def _request(self, relation: ops.Relation) -> Request | None:
        """As the leader, return what a client asks for, with the name of the database that it gets."""
        request, answer = mysql_client.read_request(relation), relation.data[self.model.app]
        if request is None:
            return None
        # One that has an answer keeps what it has, also where two were given the same one by an earlier version.
        if databag.load(answer.get("data", ""), dict).get("database") == request.database:
            return dataclasses.replace(request, database=answer.get("database", request.database))
        return dataclasses.replace(request, database=choose(request, self._owners))

    @property
    def _owners(self) -> dict[str, str]:
        """To which application each database was given: by the record, or by an answer from before there was one."""
        relations = reversed(self._grants.relations.values())
        answered = ((one.data[self.model.app].get("database", ""), one.app.name) for one in relations)
        return {**dict(answered), **self.cluster.shared.get("databases", {})}

    # The answers

    def _make(self, relation: ops.Relation, request: Request) -> bool:
        """Make a client's database and user, and publish the user; return whether that was possible.

        What MariaDB refuses is this relation's alone; it is tried again in each hook.
        """
        recorded = self.cluster.shared.get("databases", {})
        self.cluster.publish_shared(databases={**recorded, request.database: request.application})
        store = None if request.takes_secrets else _PlainData(relation, self.model.app)
        statement = f"CREATE DATABASE IF NOT EXISTS {name(request.database)} CHARACTER SET utf8mb4"
        try:
            self.mysql.sql.query(statement)
            first, users = f"relation-{relation.id}-1", self._users(request)
            secret = self._grants.publish(relation.id, first, users, store)
        except StatementError as error:
            self._grants.refuse(relation.id, _digest(request), str(error))
            return False
        self._grants.records.note(relation.id, refused=None)
        if secret:
            mysql_client.publish_secret(relation, self.model.app, secret)
        return True

    def _users(self, request: Request | None = None) -> _Users:
        return _Users(self.mysql.sql, request)

    def _publish_ca(self, relation: ops.Relation, request: Request, ca: str) -> None:
        if not request.takes_tls_secret:
            mysql_client.publish_tls(relation, self.model.app, ca)
            return
        secret = self._ca_secret(relation.id, relation).put(mysql_client.tls_content(ca))
        mysql_client.publish_tls_secret(relation, self.model.app, secret)

    def _ca_secret(self, relation_id: int, relation: ops.Relation | None = None) -> Own:
        return Own(self.model, self.model.app, f"database-ca-{relation_id}", relation)


class _Users:
    """Users of one client in the database, with the rights that it asks for. To drop one, no request is needed."""

    def __init__(self, sql: Sql, request: Request | None) -> None:
        self._sql = sql
        self._request = request

    def make(self, user: str, password: str) -> None:
        """Have a user with this password and these rights, and no others; one that is there gets them."""
        if self._request is None:
            raise ValueError(f"{user}: nobody asks for it")
        account, is_admin = f"{quote(user)}@'%'", "admin" in self._request.roles
        where = "*.*" if is_admin else f"{pattern(self._request.database)}.*"
        self._sql.query(f"CREATE OR REPLACE USER {account} IDENTIFIED BY {quote(password)}")
        option = " WITH GRANT OPTION" if is_admin else ""
        self._sql.query(f"GRANT ALL PRIVILEGES ON {where} TO {account}{option}")

    def drop(self, user: str) -> None:
        """Have no such user."""
        drop(self._sql, user)


class _PlainData:
    """Name and password in a relation's data, as requirers without secrets demand."""

    def __init__(self, relation: ops.Relation, application: ops.Application) -> None:
        self._relation = relation
        self._application = application

    def read(self) -> dict[str, str]:
        """Return what was published."""
        return dict(self._relation.data[self._application])

    def put(self, content: Mapping[str, str]) -> str:
        """Publish them; there is no secret."""
        mysql_client.publish_plain(self._relation, self._application, **content)
        return ""


def check(request: Request, settings: Settings) -> None:
    """See that a client can be served as it asks.

    Raises:
        RelationError: It cannot; the message says what can be done about it.
    """
    if not request.takes_secrets and not settings.allow_plain_credentials:
        raise RelationError(wants_plain(request.application, "password"))
    asked = request.database
    if asked in SYSTEM or len(asked) > LONGEST or not asked.isprintable():
        raise RelationError(
            f"{request.application} asks for the database {asked!r}: expected a name of its own"
        )
    if unknown := sorted(set(request.roles) - ROLES):
        raise RelationError(
            f"{request.application} asks for the role {unknown[0]}: known is admin; change its extra-user-roles"
        )


def choose(request: Request, owners: Mapping[str, str]) -> str:
    """Return which database an application gets: one of its own, also where it asks for another one's."""
    own = f"{request.database[: LONGEST // 2]}_{request.application}"[: LONGEST - 4]
    names = itertools.chain((request.database, own), (f"{own}_{number}" for number in itertools.count(2)))
    return next(name for name in names if owners.get(name, request.application) == request.application)


def drop(sql: Sql, user: str) -> None:
    """Have no such user."""
    sql.query(f"DROP USER IF EXISTS {quote(user)}@'%'")


def _digest(request: Request) -> str:
    return hashlib.sha256(request.raw.encode()).hexdigest()
