"""The endpoints `identity-service` and `identity-credentials`: users for other applications, and places in the catalogue.

The leader's record of a relation, in the peer relation under `client-<id>`: `answers`, a digest of all that the answer
came from; `users`, the newest last: more than one while a password is being rotated; `services`, a list of `[name, type,
region]`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import ops

import accounts
from openinfra_charm.interfaces import keystone as identity_service
from openinfra_charm.interfaces import keystone_credentials as identity_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from admin import Admin
    from charm import KeystoneCharm
    from state import Settings

    Request = identity_service.Request | identity_credentials.Request

ENDPOINTS = {"identity-service": identity_service, "identity-credentials": identity_credentials}
USER = "svc-"
"""What the names of the users begin with that are made here."""
INTERFACES = ("public", "internal", "admin")


def serve(charm: KeystoneCharm, settings: Settings) -> None:
    """As the leader, make what related applications ask for, and take back what no relation asks for any more."""
    for relation, request in requests(charm):
        if record(charm, relation.id).get("answers") != _digest(charm, request):
            _answer(charm, settings, relation, request)
    for relation_id in departed(charm):
        withdraw(charm, settings, relation_id)


def make_anew(charm: KeystoneCharm, settings: Settings) -> None:
    """As the leader, bring what a restored database has of services to what relations have; users of no relation go."""
    for relation, request in requests(charm):
        if record(charm, relation.id):
            _answer(charm, settings, relation, request)
    admin, domain = charm.admin(settings), accounts.named(charm)["service_domain"].id
    known = {user for entry in _records(charm).values() for user in entry["users"]}
    for user in admin.find("users", domain_id=domain):
        if user["name"].startswith(USER) and user["name"] not in known:
            admin.delete("users", user["id"])


def requests(charm: KeystoneCharm) -> Iterator[tuple[ops.Relation, Request]]:
    """Yield all relations of which the other side has said what it wants."""
    for name, interface in ENDPOINTS.items():
        for relation in charm.model.relations[name]:
            if relation.active and (request := interface.read_request(relation)):
                yield relation, request


def record(charm: KeystoneCharm, relation_id: int) -> dict[str, Any]:
    """Return what the leader has recorded of a relation."""
    return charm.cluster.shared.get(f"client-{relation_id}", {})


def _records(charm: KeystoneCharm) -> dict[int, dict[str, Any]]:
    """Return what the leader has recorded, by relation."""
    shared = charm.cluster.shared.items()
    return {int(key.rpartition("-")[2]): entry for key, entry in shared if key.startswith("client-")}


def departed(charm: KeystoneCharm) -> list[int]:
    """Return the relations that something is recorded for and that are gone."""
    present = {r.id for name in ENDPOINTS for r in charm.model.relations[name] if r.active}
    return [number for number in _records(charm) if number not in present]


def rotate(charm: KeystoneCharm, settings: Settings, relation: ops.Relation, request: Request) -> str:
    """Make a second user and hand it out in the secret's next revision; return its name.

    The first one goes when nobody reads the revision that has it any more: Juju tells with `secret-remove`.
    """
    known = record(charm, relation.id)
    last = known["users"][-1]
    username = f"{last.rpartition('-')[0]}-{int(last.rpartition('-')[2]) + 1}"
    password = accounts.new_password()
    user_id = _make_user(charm, charm.admin(settings), request, username, password)
    _secrets(charm, relation.id)[0].set_content({"username": username, "password": password})
    _publish(charm, settings, relation, user_id)
    charm.cluster.publish_shared(**{f"client-{relation.id}": {**known, "users": [*known["users"], username]}})
    return username


def forget_old(charm: KeystoneCharm, settings: Settings, label: str) -> None:
    """As the leader, delete the users that were handed out before the newest, which everybody has taken up."""
    relation_id = int(label.rpartition("-")[2])
    known = record(charm, relation_id)
    for username in known.get("users", [])[:-1]:
        _delete_user(charm, charm.admin(settings), username)
    if known:
        charm.cluster.publish_shared(**{f"client-{relation_id}": {**known, "users": known["users"][-1:]}})


def withdraw(charm: KeystoneCharm, settings: Settings, relation_id: int) -> None:
    """As the leader, delete the users of a relation that is gone, and what only it has in the catalogue."""
    admin, known = charm.admin(settings), record(charm, relation_id)
    for username in known["users"]:
        _delete_user(charm, admin, username)
    _withdraw_services(charm, admin, relation_id, known["services"])
    for secret in _secrets(charm, relation_id):
        secret.remove_all_revisions()
    charm.cluster.publish_shared(**{f"client-{relation_id}": None})


def _answer(charm: KeystoneCharm, settings: Settings, relation: ops.Relation, request: Request) -> None:
    """Make what a relation asks for. A hook that dies begins again: the same user then gets another password."""
    admin, known = charm.admin(settings), record(charm, relation.id)
    made = _secrets(charm, relation.id)
    content = made[0].peek_content() if made else {}
    username = content.get("username") or f"{USER}{request.application}-{relation.id}-1"
    password = content.get("password") or accounts.new_password()
    user_id = _make_user(charm, admin, request, username, password)
    services = _register(admin, request)
    dropped = [service for service in known.get("services", []) if service not in services]
    _withdraw_services(charm, admin, relation.id, dropped)
    if not made:
        secret = charm.app.add_secret(
            {"username": username, "password": password}, label=f"client-{relation.id}"
        )
        secret.grant(relation)
        made = [secret]
    _publish(charm, settings, relation, user_id, secret_id=made[0].id or made[0].get_info().id)
    users = known.get("users") or [username]
    entry = {"answers": _digest(charm, request), "users": users, "services": services}
    charm.cluster.publish_shared(**{f"client-{relation.id}": entry})


def _make_user(charm: KeystoneCharm, admin: Admin, request: Request, username: str, password: str) -> str:
    names = accounts.named(charm)
    domain, project = names["service_domain"].id, names["service_project"].id
    user = admin.ensure(
        "users",
        {"name": username, "domain_id": domain},
        password=password,
        default_project_id=project,
        options=accounts.UNLOCKED,
    )
    extra = request.roles if isinstance(request, identity_service.Request) else ()
    for name in (accounts.SERVICE_ROLE, *extra):
        role = admin.ensure("roles", {"name": name})
        admin.grant(f"projects/{project}", user["id"], role["id"])
    return user["id"]


def _delete_user(charm: KeystoneCharm, admin: Admin, username: str) -> None:
    domain = accounts.named(charm)["service_domain"].id
    for user in admin.find("users", name=username, domain_id=domain):
        admin.delete("users", user["id"])


def _register(admin: Admin, request: Request) -> list[list[str]]:
    """Have the catalogue say what a service asks for; return what to record."""
    if not isinstance(request, identity_service.Request):
        return []
    registered: list[list[str]] = []
    if all(region["id"] != request.region for region in admin.find("regions")):
        admin.request("POST", "/v3/regions", {"region": {"id": request.region}})
    for endpoint in request.endpoints:
        what = {"name": endpoint.service_name, "type": endpoint.type}
        service = admin.ensure("services", what, description=endpoint.description)
        for kind in INTERFACES:
            place = {"service_id": service["id"], "interface": kind, "region_id": request.region}
            admin.ensure("endpoints", place, url=getattr(endpoint, f"{kind}_url"))
        registered.append([endpoint.service_name, endpoint.type, request.region])
    return registered


def _withdraw_services(
    charm: KeystoneCharm, admin: Admin, relation_id: int, services: list[list[str]]
) -> None:
    others = [
        service
        for number, entry in _records(charm).items()
        if number != relation_id
        for service in entry["services"]
    ]
    for name, kind, region in (service for service in services if service not in others):
        for found in admin.find("services", name=name, type=kind):
            endpoints = admin.find("endpoints", service_id=found["id"])
            for endpoint in endpoints:
                if endpoint["region_id"] == region:
                    admin.delete("endpoints", endpoint["id"])
            if all(endpoint["region_id"] == region for endpoint in endpoints):
                admin.delete("services", found["id"])


def _publish(
    charm: KeystoneCharm,
    settings: Settings,
    relation: ops.Relation,
    user_id: str,
    *,
    secret_id: str | None = None,
) -> None:
    names = accounts.named(charm)
    secret = secret_id or _secrets(charm, relation.id)[0].get_info().id
    common = {"region": settings.region, "admin_role": accounts.ADMIN_ROLE, "credentials": secret}
    if relation.name == "identity-service":
        identity = identity_service.Identity(
            public_url=charm.url,
            internal_url=charm.url,
            admin_url=charm.url,
            service_user_id=user_id,
            service_project=names["service_project"],
            service_domain=names["service_domain"],
            admin_project=names["admin_project"],
            admin_domain=names["admin_domain"],
            admin_user=names["admin_user"],
            **common,
        )
        identity_service.publish(relation, charm.app, identity)
        return
    project, domain = names["service_project"], names["service_domain"]
    identity_credentials.publish(
        relation,
        charm.app,
        identity_credentials.Identity(
            public_url=charm.url,
            internal_url=charm.url,
            project=project,
            project_domain=domain,
            user_domain=domain,
            **common,
        ),
    )


def _digest(charm: KeystoneCharm, request: Request) -> str:
    made_of = (asdict(request), charm.url, charm.cluster.shared["names"])
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _secrets(charm: KeystoneCharm, relation_id: int) -> list[Any]:
    """Return the secret that was made for a relation, if one was."""
    try:
        return [charm.model.get_secret(label=f"client-{relation_id}")]
    except ops.SecretNotFoundError:
        return []
