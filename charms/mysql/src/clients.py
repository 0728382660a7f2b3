"""The `database` endpoint: databases and users for other applications."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ops

import databases
from openinfra_charm.interfaces import mysql_client
from openinfra_charm.model.granted import Granted
from openinfra_charm.model.secrets import Own
from sql import StatementError, name, pattern, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from charm import MySqlCharm
    from openinfra_charm.interfaces.mysql_client import Request
    from openinfra_charm.model.granted import Store
    from sql import Sql
    from state import Settings

ROLES = frozenset({"admin"})
"""Roles of the published format that are known here: `admin` may do everything."""
SYSTEM = frozenset({"mysql", "information_schema", "performance_schema", "sys"})


def serve(charm: MySqlCharm, settings: Settings, endpoints: str, ca: str) -> None:
    """As the leader, make what related applications ask for, and tell all of them where the database is."""
    is_told = charm.cluster.shared.get("ca") == ca
    for relation in charm.model.relations["database"]:
        request = read_request(charm, relation)
        if request is None or objection(request, settings):
            continue
        if restored := charm.cluster.shared.get("restored"):
            mysql_client.publish_restored(relation, charm.app, restored)
        if ca and not (is_told and mysql_client.tells_tls(relation, charm.app)):
            _publish_ca(charm, relation, request, ca)
        version = charm.mysql.version()
        if mysql_client.is_answered(relation, charm.app, request):
            mysql_client.publish_endpoints(relation, charm.app, endpoints=endpoints, version=version)
            continue
        if not _try_to_hand_out(charm, relation, request):
            continue
        mysql_client.answer(relation, charm.app, request, endpoints=endpoints, version=version)
    charm.cluster.publish_shared(ca=ca or None)


def read_request(charm: MySqlCharm, relation: ops.Relation) -> Request | None:
    """As the leader, return what a client asks for, with the name of the database that it gets."""
    recorded = charm.cluster.shared.get("databases", {})
    owners = databases.owned(charm.model.relations["database"], charm.app, recorded)
    return databases.read_request(relation, charm.app, owners)


def know_ca(charm: MySqlCharm, settings: Settings) -> bool:
    """Return whether all clients that are served were told the CA, in a hook before this one."""
    return all(
        mysql_client.tells_tls(relation, charm.app)
        for relation in charm.model.relations["database"]
        if (request := read_request(charm, relation)) and not objection(request, settings)
    )


def withdraw(charm: MySqlCharm, relation_id: int) -> None:
    """As the leader, take the users of a relation that is gone away; its database and data stay."""
    _granted(charm, relation_id).withdraw()
    Own(charm.model, charm.app, _ca_label(relation_id)).remove()


def objection(request: Request, settings: Settings) -> str | None:
    """Return why a client cannot be served, and what can be done about it."""
    if not request.takes_secrets and not settings.allow_plain_credentials:
        return (
            f"{request.application} wants its password in plain relation data: set allow-plain-credentials=true, "
            "or use a client with secrets"
        )
    if (
        request.database in SYSTEM
        or len(request.database) > databases.LONGEST
        or not request.database.isprintable()
    ):
        return f"{request.application} asks for the database {request.database!r}: expected a name of its own"
    if unknown := sorted(set(request.roles) - ROLES):
        return f"{request.application} asks for the role {unknown[0]}: known is admin; change its extra-user-roles"
    return None


def objections(charm: MySqlCharm, settings: Settings) -> list[str]:
    """Return why related applications are not served."""
    requests = (mysql_client.read_request(relation) for relation in charm.model.relations["database"])
    return [why for request in requests if request and (why := objection(request, settings))]


def users(charm: MySqlCharm, relation_id: int) -> list[str]:
    """Return the users of a relation, the newest last: more than one while a password is being rotated."""
    return list(charm.cluster.shared.get(f"users-{relation_id}", []))


def rotate(charm: MySqlCharm, relation: ops.Relation, request: Request) -> str:
    """Make a second user and hand it out in the secret's next revision; return its name.

    Raises:
        NotTakenUpError: The user before the present one is still used.
    """
    return _granted(charm, relation.id, relation, request).rotate()


def retire(charm: MySqlCharm, label: str) -> None:
    """As the leader, note that nobody reads earlier revisions of a secret: users that were handed out in them go."""
    relation_id = int(label.rpartition("-")[2])
    if label == _label(relation_id):
        _granted(charm, relation_id).retire()


def drop_retired(charm: MySqlCharm) -> None:
    """As the leader, drop the users that nobody uses any more."""
    for relation_id in _recorded(charm):
        _granted(charm, relation_id).drop_retired()


def make_anew(charm: MySqlCharm) -> None:
    """As the leader, bring the users of data that were restored to what clients have, and drop those of nobody."""
    known = {user for relation in charm.model.relations["database"] for user in users(charm, relation.id)}
    for row in charm.mysql.sql.query("SELECT User FROM mysql.user WHERE User LIKE 'relation-%'"):
        if row[0] not in known:
            drop(charm.mysql.sql, row[0])
    for relation in charm.model.relations["database"]:
        request = read_request(charm, relation)
        if request and users(charm, relation.id):
            _try_to_hand_out(charm, relation, request)


def departed(charm: MySqlCharm) -> list[int]:
    """Return the relations that users are recorded for and that are gone."""
    present = {relation.id for relation in charm.model.relations["database"] if relation.active}
    return [number for number in _recorded(charm) if number not in present]


class _Users:
    """Users of one client in the database, with the rights that it asks for. To drop one, no request is needed."""

    def __init__(self, sql: Sql, request: Request | None) -> None:
        self._sql = sql
        self._request = request

    def make(self, user: str, password: str) -> None:
        """Have a user with this password; one that is there gets it."""
        if self._request is None:
            raise ValueError(f"{user}: nobody asks for it")
        make_user(self._sql, self._request, user, password)

    def drop(self, user: str) -> None:
        """Have no such user."""
        drop(self._sql, user)


class _PlainData:
    """Name and password in a relation's data, as requirers without secrets demand."""

    def __init__(self, relation: ops.Relation, application: ops.Application) -> None:
        self._relation = relation
        self._application = application

    def read(self) -> dict[str, str]:
        """Return what was handed out."""
        return dict(self._relation.data[self._application])

    def put(self, content: Mapping[str, str]) -> str:
        """Hand them out; there is no secret."""
        mysql_client.publish_plain(self._relation, self._application, **content)
        return ""

    def remove(self) -> None:
        """Do nothing: the data go with their relation."""


def _granted(
    charm: MySqlCharm, relation_id: int, relation: ops.Relation | None = None, request: Request | None = None
) -> Granted:
    """Return the users of a relation; to make some, relation and request are needed."""
    users_key, retired_key = f"users-{relation_id}", f"retired-{relation_id}"

    def record(users: list[str], retired: list[str]) -> None:
        charm.cluster.publish_shared(**{users_key: users or None, retired_key: retired or None})

    store: Store = Own(charm.model, charm.app, _label(relation_id), relation)
    if relation is not None and request is not None and not request.takes_secrets:
        store = _PlainData(relation, charm.app)
    return Granted(
        users=users(charm, relation_id),
        retired=charm.cluster.shared.get(retired_key, []),
        record=record,
        store=store,
        software=_Users(charm.mysql.sql, request),
    )


def _recorded(charm: MySqlCharm) -> list[int]:
    """Return the relations that users are recorded for."""
    return [int(key.rpartition("-")[2]) for key in charm.cluster.shared if key.startswith("users-")]


def _label(relation_id: int) -> str:
    return f"database-{relation_id}"


def _ca_label(relation_id: int) -> str:
    return f"database-ca-{relation_id}"


def _hand_out(charm: MySqlCharm, relation: ops.Relation, request: Request) -> None:
    """Make the database and the user."""
    charm.mysql.sql.query(f"CREATE DATABASE IF NOT EXISTS {name(request.database)} CHARACTER SET utf8mb4")
    secret = _granted(charm, relation.id, relation, request).hand_out(f"relation-{relation.id}-1")
    if secret:
        mysql_client.publish_secret(relation, charm.app, secret)


def _try_to_hand_out(charm: MySqlCharm, relation: ops.Relation, request: Request) -> bool:
    """Make the database and the user; return whether that was possible. What is wrong is this relation's alone."""
    recorded = charm.cluster.shared.get("databases", {})
    charm.cluster.publish_shared(databases={**recorded, request.database: request.application})
    try:
        _hand_out(charm, relation, request)
    except StatementError as error:
        charm.missing.append(ops.BlockedStatus(f"{request.application}, relation {relation.id}: {error}"))
        return False
    return True


def make_user(sql: Sql, request: Request, user: str, password: str) -> None:
    """Have a user of a client with this password and the rights that it asks for, and no others."""
    account = f"{quote(user)}@'%'"
    where = "*.*" if "admin" in request.roles else f"{pattern(request.database)}.*"
    option = " WITH GRANT OPTION" if "admin" in request.roles else ""
    sql.query(f"CREATE OR REPLACE USER {account} IDENTIFIED BY {quote(password)}")
    sql.query(f"GRANT ALL PRIVILEGES ON {where} TO {account}{option}")


def drop(sql: Sql, user: str) -> None:
    """Have no such user."""
    sql.query(f"DROP USER IF EXISTS {quote(user)}@'%'")


def _publish_ca(charm: MySqlCharm, relation: ops.Relation, request: Request, ca: str) -> None:
    if not request.takes_tls_secret:
        mysql_client.publish_tls(relation, charm.app, ca)
    else:
        secret = Own(charm.model, charm.app, _ca_label(relation.id), relation)
        mysql_client.publish_tls_secret(relation, charm.app, secret.put(mysql_client.tls_content(ca)))
