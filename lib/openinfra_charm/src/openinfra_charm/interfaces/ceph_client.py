"""The `ceph-client` interface: pools and keys on request.

The wire format is that of Charmed Ceph (charm `ceph-mon`, library `charms.ceph`): the requirer's units write a
JSON request (`broker_req`) into their unit data; each unit of the provider publishes its monitor's address, and the
answer for requirer unit `glance/0` under `broker-rsp-glance-0`.

That format carries the key in plain text. A requirer that knows secrets says `requested-secrets=["key"]` in its
application data and gets `secret-key`, the id of a Juju secret with the field `key`, in the provider's
application data instead. With `["key", "username"]` its user may be another one after a rotation, whose name without `client.` is in
the field `username`: the one before is there until no unit reads the revision before.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from openinfra_charm.model import databag, secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ops

API_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What one unit of a client asks for."""

    unit: str
    request_id: str
    operations: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """An application on the other side of a `ceph-client` relation, as the provider sees it."""

    relation_id: int
    name: str
    """The name of its Ceph user, without `client.`."""
    takes_secret: bool
    requests: tuple[Request, ...]
    takes_user: bool = False
    """Whether the secret may name another user."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What a client needs to use the cluster."""

    user: str
    key: str
    monitors: tuple[str, ...]


def read_client(relation: ops.Relation) -> Client:
    """Return the provider's view of a relation.

    A request that is not JSON of the known version is passed over: the other side has not finished, or speaks
    a later format, and gets no answer.
    """
    wanted = relation.data[relation.app].get("requested-secrets", "[]")
    units = sorted(relation.units, key=lambda unit: unit.name)
    names = [relation.data[unit].get("application-name", "") for unit in units]
    requests = [parse_request(unit.name, relation.data[unit].get("broker_req", "")) for unit in units]
    return Client(
        relation_id=relation.id,
        name=next(filter(None, names), relation.app.name),
        takes_secret="key" in databag.load(wanted, list),
        takes_user={"key", "username"} <= {str(one) for one in databag.load(wanted, list)},
        requests=tuple(request for request in requests if request),
    )


def publish_monitor(relation: ops.Relation, unit: ops.Unit, address: str | None) -> None:
    """Tell clients the address of this unit's monitor, or that it has none."""
    databag.put(relation.data[unit], "auth", "cephx" if address else "")
    databag.put(relation.data[unit], "ceph-public-address", address or "")


def publish_key(relation: ops.Relation, unit: ops.Unit, key: str) -> None:
    """Hand the key out in plain text, as requirers without secrets demand."""
    databag.put(relation.data[unit], "key", key)


def publish_secret(relation: ops.Relation, application: ops.Application, secret_id: str) -> None:
    """Hand out the id of the secret that holds the key. Only the leader may."""
    databag.put(relation.data[application], "secret-key", secret_id)


def answer(relation: ops.Relation, unit: ops.Unit, request: Request, failure: str | None) -> None:
    """Tell a client's unit that its request was carried out, or why not."""
    response: dict[str, Any] = {"api-version": API_VERSION, "request-id": request.request_id}
    response |= {"exit-code": 1, "stderr": failure} if failure else {"exit-code": 0}
    key = f"broker-rsp-{request.unit.replace('/', '-')}"
    databag.put(relation.data[unit], key, json.dumps(response, sort_keys=True))


def is_answered(relation: ops.Relation, unit: ops.Unit, request: Request) -> bool:
    """Return whether this unit has answered the request."""
    return _given(relation, unit, request).get("request-id") == request.request_id


def is_done(relation: ops.Relation, unit: ops.Unit, request: Request) -> bool:
    """Return whether this unit has carried the request out, and said so."""
    return is_answered(relation, unit, request) and not _given(relation, unit, request).get("exit-code")


def is_asked(relation: ops.Relation, unit: ops.Unit, client: ops.Unit | None = None) -> bool:
    """Return whether a client's unit, or any of them, has asked for something that this unit has not carried out."""
    clients = [client] if client in relation.units else list(relation.units)
    requests = [parse_request(one.name, relation.data[one].get("broker_req", "")) for one in clients]
    return any(request and not is_done(relation, unit, request) for request in requests)


def _given(relation: ops.Relation, unit: ops.Unit, request: Request) -> dict[str, Any]:
    given = relation.data[unit].get(f"broker-rsp-{request.unit.replace('/', '-')}", "{}")
    return databag.load(given, dict)


def send_request(
    relation: ops.Relation,
    unit: ops.Unit,
    application: str,
    request_id: str,
    operations: Iterable[Mapping[str, Any]],
) -> None:
    """As a client's unit, ask for pools and permissions."""
    body = {"api-version": API_VERSION, "request-id": request_id, "ops": list(operations)}
    databag.put(relation.data[unit], "application-name", application)
    databag.put(relation.data[unit], "broker_req", json.dumps(body, sort_keys=True))


def announce_secrets(
    relation: ops.Relation, application: ops.Application, fields: Iterable[str] = ("key",)
) -> None:
    """As a client's leader, say that the key may come as a secret; with a field `username`, that it may be another user's after a rotation."""
    databag.put(relation.data[application], "requested-secrets", json.dumps(list(fields)))


def request_id(operations: Iterable[Mapping[str, Any]]) -> str:
    """Return a request's id that is another one whenever something else is asked for, and only then."""
    return hashlib.sha256(json.dumps(list(operations), sort_keys=True).encode()).hexdigest()[:32]


def read_access(
    model: ops.Model,
    relation: ops.Relation,
    user: str,
    unit: ops.Unit,
    request_id: str,
    *,
    refresh: bool = True,
) -> Access | None:
    """As a client's unit, return how to reach the cluster once `request_id` is answered; None until then.

    Args:
        model: The model.
        relation: The relation.
        user: The Ceph user that was asked for, without `client.`; a provider that gives another one says so in the secret.
        unit: This unit.
        request_id: What it has asked for.
        refresh: Whether it uses the newest key from now on: the provider ends older ones when all units do. Without it the key is
            only read, for a unit that has to restart first.

    Raises:
        RelationError: The provider has refused the request, or said something that cannot be used.
    """
    key = ""
    monitors: list[str] = []
    if secret_id := relation.data[relation.app].get("secret-key"):
        content = secrets.find(model, secret_id, refresh=refresh) or {}
        key, user = content.get("key", ""), content.get("username", user)
    for provider in sorted(relation.units, key=lambda unit: unit.name):
        data = relation.data[provider]
        key = key or data.get("key", "")
        if address := data.get("ceph-public-address"):
            monitors.append(address)
    answered = read_answer(relation, unit, request_id)
    if not (answered and key and monitors):
        return None
    check_access(relation, key, monitors)
    databag.check(relation, databag.NAME, {"user": user})
    return Access(user=user, key=key, monitors=tuple(monitors))


def check_access(relation: ops.Relation, key: str, monitors: Iterable[str]) -> None:
    """See that a key and monitors' addresses can be written into Ceph's files.

    Raises:
        RelationError: One of them cannot.
    """
    databag.check(relation, databag.KEY, {"key": key}, secret=True)
    for address in monitors:
        databag.check(relation, databag.HOST, {"ceph-public-address": address})


def read_answer(relation: ops.Relation, unit: ops.Unit, request_id: str) -> bool:
    """As a client's unit, return whether some unit of the provider has carried `request_id` out.

    Raises:
        RelationError: It was refused.
    """
    answered = False
    for provider in sorted(relation.units, key=lambda unit: unit.name):
        given = relation.data[provider].get(f"broker-rsp-{unit.name.replace('/', '-')}", "{}")
        response = databag.load(given, dict)
        if response.get("request-id") == request_id:
            if response.get("exit-code"):
                why = response.get("stderr") or f"exit code {response['exit-code']}"
                raise databag.RelationError(f"{relation.app.name} refuses: {why}")
            answered = True
    return answered


def parse_request(unit: str, text: str) -> Request | None:
    """Return a broker request; None where the text is none of the known version."""
    body = databag.load(text, dict)
    operations = body.get("ops")
    if body.get("api-version") != API_VERSION or not isinstance(operations, list):
        return None
    if not all(isinstance(operation, dict) for operation in cast("list[Any]", operations)):
        return None
    return Request(unit=unit, request_id=str(body.get("request-id", "")), operations=tuple(body["ops"]))
