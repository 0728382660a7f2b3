"""The `mysql_client` interface: a database and a user of its own for an application.

The wire format is version 0 of Canonical's `data_interfaces` (`charms.data_platform_libs.v0.data_interfaces`), all of
it in application data. The requirer writes `database`, `requested-secrets` (a JSON list of the fields that it takes as
secrets) and, if it wants them, `extra-user-roles` and `external-node-connectivity`. The provider writes `database`,
`endpoints`, `version`, `secret-user` (the id of a secret with `username` and `password`, granted to the relation) and
`data`, the JSON of what it had read of the requirer when it answered.

A requirer that does not request secrets expects `username` and `password` in plain text in the place of `secret-user`.

Where the database speaks TLS the provider adds `tls` (`True`) and `tls-ca` (PEM); to a requirer that requests these as
secrets, too, in a secret whose id is `secret-tls`.

Beyond the published format, our provider adds `restored` once all data were taken back from a backup: a number that is another one
each time. A requirer whose accounts are in the database makes them again then; others ignore it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model import databag, secrets

if TYPE_CHECKING:
    import ops

PORT = 3306
CREDENTIALS = ("username", "password")
TLS = ("tls", "tls-ca")
REQUESTED_SECRETS = ("username", "password", "tls", "tls-ca", "uris", "read-only-uris")
"""What the published library's requirer asks for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a requirer asks for, as the provider sees it. `raw` is what `data` repeats when it is answered."""

    relation_id: int
    application: str
    database: str
    roles: tuple[str, ...]
    takes_secrets: bool
    raw: str
    takes_tls_secret: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What a client needs to use its database.

    `endpoints` are `address:port`, the writer first; `ca` is the CA to trust, PEM, empty where all is in clear.
    """

    endpoints: tuple[str, ...]
    database: str
    username: str
    password: str
    version: str
    ca: str = ""


# The provider


def read_request(relation: ops.Relation) -> Request | None:
    """Return what the other side asks for; None as long as it has not named a database."""
    data = relation.data[relation.app]
    database = data.get("database", "")
    if not database:
        return None
    known = {key: value for key, value in sorted(data.items()) if key != "data"}
    roles = data.get("extra-user-roles", "").split(",")
    secret = set(_strings(data.get("requested-secrets", "")))
    return Request(
        relation_id=relation.id,
        application=relation.app.name,
        database=database,
        roles=tuple(role.strip() for role in roles if role.strip()),
        takes_secrets=set(CREDENTIALS) <= secret,
        raw=json.dumps(known, sort_keys=True),
        takes_tls_secret=set(TLS) <= secret,
    )


def is_answered(relation: ops.Relation, application: ops.Application, request: Request) -> bool:
    """Return whether the provider has handed out what this very request asks for."""
    return relation.data[application].get("data") == request.raw


def answer(
    relation: ops.Relation, application: ops.Application, request: Request, *, endpoints: str, version: str
) -> None:
    """As the provider's leader, say that the database is there. Credentials are handed out before."""
    data = relation.data[application]
    databag.put(data, "database", request.database)
    publish_endpoints(relation, application, endpoints=endpoints, version=version)
    databag.put(data, "data", request.raw)


def publish_endpoints(
    relation: ops.Relation, application: ops.Application, *, endpoints: str, version: str
) -> None:
    """As the provider's leader, say where the database is served (`address:port`) and by which version."""
    databag.put(relation.data[application], "endpoints", endpoints)
    databag.put(relation.data[application], "version", version)


def publish_secret(relation: ops.Relation, application: ops.Application, secret_id: str) -> None:
    """As the provider's leader, hand out the id of the secret that holds `username` and `password`."""
    databag.put(relation.data[application], "secret-user", secret_id)


def publish_plain(
    relation: ops.Relation, application: ops.Application, *, username: str, password: str
) -> None:
    """As the provider's leader, hand credentials out in plain text, as requirers without secrets demand."""
    databag.put(relation.data[application], "username", username)
    databag.put(relation.data[application], "password", password)


def tls_content(ca: str) -> dict[str, str]:
    """Return what says that the database speaks TLS, and how it is verified: for a secret, or for plain data."""
    return {"tls": "True", "tls-ca": ca}


def publish_tls_secret(relation: ops.Relation, application: ops.Application, secret_id: str) -> None:
    """As the provider's leader, hand out the id of the secret that holds `tls` and `tls-ca`."""
    databag.put(relation.data[application], "secret-tls", secret_id)


def publish_tls(relation: ops.Relation, application: ops.Application, ca: str) -> None:
    """As the provider's leader, say to a requirer that does not request it as a secret that the database speaks TLS."""
    for key, value in tls_content(ca).items():
        databag.put(relation.data[application], key, value)


def publish_restored(relation: ops.Relation, application: ops.Application, number: int) -> None:
    """As the provider's leader, say which restore of all data was the last."""
    databag.put(relation.data[application], "restored", f"{number}")


def tells_tls(relation: ops.Relation, application: ops.Application) -> bool:
    """Return whether the provider has said that the database speaks TLS."""
    return bool({"secret-tls", "tls"} & relation.data[application].keys())


# The requirer


def send_request(
    relation: ops.Relation, application: ops.Application, database: str, roles: tuple[str, ...] = ()
) -> None:
    """As the requirer's leader, ask for a database and a user, whose password may come as a secret."""
    data = relation.data[application]
    databag.put(data, "requested-secrets", json.dumps(list(REQUESTED_SECRETS)))
    if roles:
        databag.put(data, "extra-user-roles", ",".join(roles))
    databag.put(data, "database", database)


def read_access(model: ops.Model, relation: ops.Relation) -> Access | None:
    """As the requirer, return how to reach the database; None until the provider has made it.

    The newest credentials are only looked at: the provider ends older ones when all units `use` the newest.

    Raises:
        ops.SecretNotFoundError: The secret is not granted to this unit, not yet or no more.
        RelationError: The provider has said something that cannot be used.
    """
    data = relation.data[relation.app]
    content: dict[str, str] = {key: data.get(key, "") for key in CREDENTIALS}
    if secret_id := data.get("secret-user"):
        content = secrets.read(model, secret_id, refresh=False)
    tls: dict[str, str] = {key: data.get(key, "") for key in TLS}
    if secret_id := data.get("secret-tls"):
        tls = secrets.read(model, secret_id)
    endpoints = tuple(part for part in data.get("endpoints", "").split(",") if part)
    for endpoint in endpoints:
        databag.check(relation, databag.ENDPOINT, {"endpoints": endpoint})
    databag.check(relation, databag.NAME, {"database": data.get("database", "")})
    databag.check(relation, databag.LINE, {key: content[key] for key in CREDENTIALS}, secret=True)
    if not (endpoints and content["username"]):
        return None
    return Access(
        endpoints=endpoints,
        database=data.get("database", ""),
        username=content["username"],
        password=content["password"],
        version=data.get("version", ""),
        ca=tls["tls-ca"],
    )


def use(model: ops.Model, relation: ops.Relation) -> None:
    """As the requirer, use the newest credentials from now on."""
    secrets.find(model, relation.data[relation.app].get("secret-user"))


def read_restored(relation: ops.Relation) -> str:
    """As the requirer, return which restore of all data was the last; empty where there was none."""
    return relation.data[relation.app].get("restored", "")


def _strings(text: str) -> list[str]:
    value = databag.load(text, list)
    return value if all(isinstance(one, str) for one in value) else []
