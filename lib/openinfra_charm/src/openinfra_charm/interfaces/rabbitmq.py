"""The `rabbitmq` interface: a virtual host of a message broker, and a user with all rights in it.

The published format is that of the charms rabbitmq-server and rabbitmq-k8s on Charmhub. The requirer writes `username` and `vhost`: machine
charms each unit into its unit data, Sunbeam's the leader into the application data. The provider answers in the same place with
`hostname`, `password`, and where it speaks TLS with `ssl_port` and `ssl_ca` (PEM in base64).

That format carries the password in plain text, and the user's name never changes. A requirer that knows secrets says
`requested-secrets=["username", "password"]` in its application data and gets `secret-user`, the id of a Juju secret with these two
fields, in the provider's application data instead. The user's name is the provider's then: a new password is that of a new user.

Ours speaks TLS only. Each unit that serves publishes `hostname`, `ssl_port` and `ssl_ca` in its unit data.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.model import databag, secrets
from openinfra_charm.model.cluster import unit_number
from openinfra_charm.values import bracketed

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ops

PORT = 5671
"""Where clients reach a broker that speaks TLS (IANA: amqps)."""
CREDENTIALS = ("username", "password")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a requirer asks for, as the provider sees it. `by_units` tells that its units have asked, not its application."""

    relation_id: int
    application: str
    username: str
    vhost: str
    takes_secret: bool
    by_units: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What a client needs to use its virtual host.

    `hosts` are addresses or names, in the order of the provider's units; `ca` is the CA to trust, PEM.
    """

    hosts: tuple[str, ...]
    port: int
    vhost: str
    username: str
    password: str
    ca: str

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The hosts with the port, IPv6 addresses in brackets."""
        return tuple(f"{bracketed(host)}:{self.port}" for host in self.hosts)


# The provider


def read_request(relation: ops.Relation) -> Request | None:
    """Return what the other side asks for; None as long as it has not named a user and a virtual host."""
    application = relation.data[relation.app]
    units = [relation.data[unit] for unit in sorted(relation.units, key=lambda unit: unit_number(unit.name))]
    for number, data in enumerate((application, *units)):
        username, vhost = data.get("username", ""), data.get("vhost", "")
        if username and vhost:
            return Request(
                relation_id=relation.id,
                application=relation.app.name,
                username=username,
                vhost=vhost,
                takes_secret=set(CREDENTIALS) <= set(_strings(application.get("requested-secrets", "[]"))),
                by_units=number > 0,
            )
    return None


def publish_unit(relation: ops.Relation, unit: ops.Unit, hostname: str, ca: str) -> None:
    """As a unit of the provider, say where it serves and by which CA it is verified; empty texts take that back."""
    for key, value in _place(hostname, ca).items():
        databag.put(relation.data[unit], key, value)


def publish_secret(relation: ops.Relation, application: ops.Application, secret_id: str) -> None:
    """As the provider's leader, hand out the id of the secret that holds `username` and `password`."""
    databag.put(relation.data[application], "secret-user", secret_id)


def publish_plain(relation: ops.Relation, application: ops.Application, content: Mapping[str, str]) -> None:
    """As the provider's leader, hand credentials out in plain text, as requirers without secrets demand."""
    for key in CREDENTIALS:
        databag.put(relation.data[application], key, content[key])


def publish_password(relation: ops.Relation, unit: ops.Unit, password: str) -> None:
    """As the provider's leader, hand the password out in its unit's data, where requirers whose units have asked look for it."""
    databag.put(relation.data[unit], "password", password)


def publish_place(relation: ops.Relation, application: ops.Application, hostname: str, ca: str) -> None:
    """As the provider's leader, say to a requirer that reads the application's data where one of the units serves."""
    for key, value in _place(hostname, ca).items():
        databag.put(relation.data[application], key, value)


def read_plain(relation: ops.Relation, application: ops.Application) -> dict[str, str]:
    """As the provider's leader, return the credentials that were handed out in plain text; empty where none were."""
    data = relation.data[application]
    return {key: data[key] for key in CREDENTIALS if data.get(key)}


def _place(hostname: str, ca: str) -> dict[str, str]:
    encoded = base64.b64encode(ca.encode()).decode()
    return {
        "hostname": hostname,
        "ssl_port": f"{PORT}" if hostname else "",
        "ssl_ca": encoded if hostname else "",
    }


# The requirer


def send_request(relation: ops.Relation, application: ops.Application, *, username: str, vhost: str) -> None:
    """As the requirer's leader, ask for a virtual host, and a user whose password may come as a secret."""
    data = relation.data[application]
    databag.put(data, "requested-secrets", json.dumps(list(CREDENTIALS)))
    databag.put(data, "username", username)
    databag.put(data, "vhost", vhost)


def read_access(
    model: ops.Model, relation: ops.Relation, *, username: str, vhost: str, refresh: bool = True
) -> Access | None:
    """As the requirer, return how to reach the virtual host; None until the provider has made it and serves it by TLS.

    Args:
        model: The model.
        relation: The relation.
        username: What was asked for: a provider without secrets does not repeat it.
        vhost: The same.
        refresh: Whether this unit uses the newest credentials from now on: the provider ends older ones when all units do. Without
            it they are only read, for a unit that has to restart first.

    Raises:
        RelationError: The provider has said something that cannot be used.
    """
    application = relation.data[relation.app]
    units = [relation.data[unit] for unit in sorted(relation.units, key=lambda unit: unit_number(unit.name))]
    said = [data for data in units if data.get("hostname")] or [application]
    if secret_id := application.get("secret-user"):
        content = secrets.find(model, secret_id, refresh=refresh)
    else:
        password = next(filter(None, (data.get("password") for data in (application, *units))), "")
        content = {"username": username, "password": password}
    if content is None:
        return None
    served = [data for data in said if data.get("hostname") and data.get("ssl_port", "").isdecimal()]
    for data in served:
        databag.check(relation, databag.HOST, {"hostname": data["hostname"]})
    databag.check(relation, databag.LINE, {key: content[key] for key in CREDENTIALS}, secret=True)
    cas = dict.fromkeys(ca.strip() for data in served if (ca := _decode(data.get("ssl_ca", ""))))
    if not (served and content["username"] and content["password"]):
        return None
    return Access(
        hosts=tuple(data["hostname"].strip("[]") for data in served),
        port=int(served[0]["ssl_port"]),
        vhost=vhost,
        username=content["username"],
        password=content["password"],
        ca="".join(f"{ca}\n" for ca in cas),
    )


def _decode(text: str) -> str:
    """Return a CA that is published in base64; as it is where it is PEM."""
    if "-----BEGIN" in text:
        return text
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _strings(text: str) -> list[str]:
    value = databag.load(text, list)
    return value if all(isinstance(one, str) for one in value) else []
