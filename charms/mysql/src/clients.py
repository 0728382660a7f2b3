"""The `database` endpoint: databases and users for other applications."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import ops

from openinfra_charm.interfaces import mysql_client
from sql import StatementError, name, pattern, quote

if TYPE_CHECKING:
    from charm import MySqlCharm
    from openinfra_charm.interfaces.mysql_client import Request
    from sql import Sql
    from state import Settings

ROLES = frozenset({"admin"})
"""Roles of the published format that are known here: `admin` may do everything."""
SYSTEM = frozenset({"mysql", "information_schema", "performance_schema", "sys"})
LONGEST = 64
"""The longest name of a database (MariaDB: identifier names)."""


def serve(charm: MySqlCharm, settings: Settings, endpoints: str, ca: str) -> None:
    """As the leader, make what related applications ask for, and tell all of them where the database is."""
    is_told = charm.cluster.shared.get("ca") == ca
    for relation in charm.model.relations["database"]:
        request = mysql_client.read_request(relation)
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
        try:
            _hand_out(charm, relation, request)
        except StatementError as error:
            charm.missing.append(ops.BlockedStatus(f"{request.application}: {error}"))
            continue
        mysql_client.answer(relation, charm.app, request, endpoints=endpoints, version=version)
    charm.cluster.publish_shared(ca=ca or None)


def know_ca(charm: MySqlCharm, settings: Settings) -> bool:
    """Return whether all clients that are served were told the CA, in a hook before this one."""
    return all(
        mysql_client.tells_tls(relation, charm.app)
        for relation in charm.model.relations["database"]
        if (request := mysql_client.read_request(relation)) and not objection(request, settings)
    )


def withdraw(charm: MySqlCharm, relation_id: int) -> None:
    """As the leader, take the users of a relation that is gone away; its database and data stay."""
    for user in users(charm, relation_id):
        _drop(charm.mysql.sql, user)
    for label in (_label(relation_id), _ca_label(relation_id)):
        for secret in _secrets(charm, label):
            secret.remove_all_revisions()
    charm.cluster.publish_shared(**{_users_key(relation_id): None})


def objection(request: Request, settings: Settings) -> str | None:
    """Return why a client cannot be served, and what can be done about it."""
    if not request.takes_secrets and not settings.allow_plain_credentials:
        return (
            f"{request.application} wants its password in plain relation data: set allow-plain-credentials=true, "
            "or use a client with secrets"
        )
    if request.database in SYSTEM or len(request.database) > LONGEST or "\0" in request.database:
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
    return list(charm.cluster.shared.get(_users_key(relation_id), []))


def rotate(charm: MySqlCharm, relation: ops.Relation, request: Request) -> str:
    """Make a second user and hand it out in the secret's next revision; return its name.

    The first one goes when nobody reads the revision that has it any more: Juju tells with `secret-remove`.
    """
    known = users(charm, relation.id)
    user, password = _user_name(relation.id, 1 + int(known[-1].rpartition("-")[2])), _new_password()
    charm.cluster.publish_shared(**{_users_key(relation.id): [*known, user]})
    _make_user(charm.mysql.sql, request, user, password)
    _publish(charm, relation, request, user, password)
    return user


def forget_old(charm: MySqlCharm, label: str) -> None:
    """As the leader, drop the users that were handed out before the newest, which everybody has taken up."""
    relation_id = int(label.rpartition("-")[2])
    if label == _ca_label(relation_id):
        return
    known = users(charm, relation_id)
    for user in known[:-1]:
        _drop(charm.mysql.sql, user)
    charm.cluster.publish_shared(**{_users_key(relation_id): known[-1:] or None})


def make_anew(charm: MySqlCharm) -> None:
    """As the leader, bring the users of data that were restored to what clients have, and drop those of nobody."""
    known = {user for relation in charm.model.relations["database"] for user in users(charm, relation.id)}
    for row in charm.mysql.sql.query("SELECT User FROM mysql.user WHERE User LIKE 'relation-%'"):
        if row[0] not in known:
            _drop(charm.mysql.sql, row[0])
    for relation in charm.model.relations["database"]:
        request = mysql_client.read_request(relation)
        if request and users(charm, relation.id):
            _hand_out(charm, relation, request)


def departed(charm: MySqlCharm) -> list[int]:
    """Return the relations that users are recorded for and that are gone."""
    present = {relation.id for relation in charm.model.relations["database"] if relation.active}
    recorded = [int(key.rpartition("-")[2]) for key in charm.cluster.shared if key.startswith("users-")]
    return [number for number in recorded if number not in present]


def _users_key(relation_id: int) -> str:
    return f"users-{relation_id}"


def _label(relation_id: int) -> str:
    return f"database-{relation_id}"


def _ca_label(relation_id: int) -> str:
    return f"database-ca-{relation_id}"


def _user_name(relation_id: int, number: int) -> str:
    return f"relation-{relation_id}-{number}"


def _new_password() -> str:
    return secrets.token_urlsafe(24)


def _hand_out(charm: MySqlCharm, relation: ops.Relation, request: Request) -> None:
    """Make the database and the user. A hook that dies begins again: the same user then gets another password."""
    known = users(charm, relation.id) or [_user_name(relation.id, 1)]
    user, password = known[-1], _new_password()
    held = [secret.peek_content() for secret in _secrets(charm, _label(relation.id))] or [
        dict(relation.data[charm.app])  # in plain text
    ]
    if held[0].get("username") == user:
        password = held[0]["password"]
    charm.cluster.publish_shared(**{_users_key(relation.id): known})
    charm.mysql.sql.query(f"CREATE DATABASE IF NOT EXISTS {name(request.database)}")
    _make_user(charm.mysql.sql, request, user, password)
    _publish(charm, relation, request, user, password)


def _make_user(sql: Sql, request: Request, user: str, password: str) -> None:
    account = f"{quote(user)}@'%'"
    where = "*.*" if "admin" in request.roles else f"{pattern(request.database)}.*"
    option = " WITH GRANT OPTION" if "admin" in request.roles else ""
    sql.query(f"CREATE OR REPLACE USER {account} IDENTIFIED BY {quote(password)}")
    sql.query(f"GRANT ALL PRIVILEGES ON {where} TO {account}{option}")


def _drop(sql: Sql, user: str) -> None:
    sql.query(f"DROP USER IF EXISTS {quote(user)}@'%'")


def _publish(charm: MySqlCharm, relation: ops.Relation, request: Request, user: str, password: str) -> None:
    if not request.takes_secrets:
        mysql_client.publish_plain(relation, charm.app, username=user, password=password)
        return
    if made := _keep_secret(charm, relation, _label(relation.id), {"username": user, "password": password}):
        mysql_client.publish_secret(relation, charm.app, made)


def _publish_ca(charm: MySqlCharm, relation: ops.Relation, request: Request, ca: str) -> None:
    if not request.takes_tls_secret:
        mysql_client.publish_tls(relation, charm.app, ca)
    elif made := _keep_secret(charm, relation, _ca_label(relation.id), mysql_client.tls_content(ca)):
        mysql_client.publish_tls_secret(relation, charm.app, made)


def _keep_secret(charm: MySqlCharm, relation: ops.Relation, label: str, content: dict[str, str]) -> str:
    """Bring a relation's secret to its content; return its id where it is a new one."""
    for secret in _secrets(charm, label):
        if secret.peek_content() != content:
            secret.set_content(content)
        return ""
    secret = charm.app.add_secret(content, label=label)
    secret.grant(relation)
    return secret.id or ""


def _secrets(charm: MySqlCharm, label: str) -> list[Any]:
    """Return the secret of that label, if one was made."""
    try:
        return [charm.model.get_secret(label=label)]
    except ops.SecretNotFoundError:
        return []
