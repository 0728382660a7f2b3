"""The endpoints `identity-service` and `identity-credentials`: users for other applications, and places in the catalogue.

The leader's record of a relation is in the peer relation, under `client-<id>`: what `granted.Grants` keeps there, and
`services`, a list of `[name, type, region]`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from admin import RefusedError
from openinfra_charm.interfaces import keystone as identity_service
from openinfra_charm.interfaces import keystone_credentials as identity_credentials
from openinfra_charm.model import databag
from openinfra_charm.model.databag import RelationError
from openinfra_charm.model.granted import Grants, Records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import ops

    from admin import Admin
    from openinfra_charm.interfaces.keystone import Named
    from openinfra_charm.model.cluster import Cluster
    from state import Settings

    Request = identity_service.Request | identity_credentials.Request

ENDPOINTS = {"identity-service": identity_service, "identity-credentials": identity_credentials}
USER = "svc-"
"""What the names of the users begin with that are made here."""
USUAL = ("admin", "service")
"""The roles of services' users in their project: services of Sunbeam's use each other as administrators."""
UNLOCKED = {"ignore_lockout_failure_attempts": True, "ignore_password_expiry": True}
"""Options of users that are programs: nobody can lock them out by trying."""
INTERFACES = ("public", "internal", "admin")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What is published to all relations: where Keystone is, and the projects, domains and users there."""

    url: str
    internal_url: str
    region: str
    names: dict[str, Named]


@dataclass(kw_only=True)
class Clients:
    """All related applications that have users here."""

    model: ops.Model
    cluster: Cluster
    """Where the leader records what it has made."""
    settings: Callable[[], Settings]
    place: Callable[[], Place]
    admin: Callable[[], Admin]

    @cached_property
    def _records(self) -> Records:
        return Records(self.cluster, "client")

    @cached_property
    def _grants(self) -> Grants:
        return Grants(self.model, ENDPOINTS, records=self._records, label="client")

    # As the leader

    def serve(self) -> None:
        """Make what related applications ask for, and take back what no relation asks for any more."""
        for relation, request in databag.read_each(self._grants.relations.values(), _read)[0].items():
            digest = self._digest(request)
            if not self._grants.is_settled(relation.id, digest):
                self._try(relation, request, digest)
        self._grants.drop_retired(self._users)
        for relation_id in self._grants.departed:
            self._withdraw(relation_id)

    def make_anew(self) -> None:
        """Bring what another database has of services to what relations have; users of no relation go."""
        for relation, request in self.requests():
            if self.record(relation.id).get("answers"):
                self._try(relation, request, self._digest(request))
        admin, domain = self.admin(), self.place().names["service_domain"].id
        known = self._grants.all_users
        for user in admin.find("users", domain_id=domain):
            if user["name"].startswith(USER) and user["name"] not in known:
                admin.delete("users", user["id"])

    def rotate(self, relation_id: int) -> str:
        """Make a second user of a relation and publish it in the secret's next revision; return the words for the operator.

        Raises:
            RotationError: The relation has no user, or the user before the present one is still used.
        """
        relation = self._grants.find(relation_id)
        users = self._users(ENDPOINTS[relation.name].read_request(relation))
        words = self._grants.rotate(relation, users)
        self._publish(relation, users.made)
        return words

    def retire(self, label: str) -> None:
        """Note that nobody reads earlier revisions of a secret any more: users that were published in them go."""
        self._grants.retire(label)

    # What is known

    def requests(self) -> Iterator[tuple[ops.Relation, Request]]:
        """Yield all relations of which the other side has said what it wants."""
        for relation in self._grants.relations.values():
            if request := ENDPOINTS[relation.name].read_request(relation):
                yield relation, request

    def record(self, relation_id: int) -> dict[str, Any]:
        """Return what the leader has recorded of a relation."""
        return self._records.read(relation_id)

    def problems(self) -> Iterator[str]:
        """Yield what related applications ask for and do not get, and why."""
        served, problems = databag.read_each(self._grants.relations.values(), _read)
        yield from problems
        for relation, request in served.items():
            if refusal := self._grants.refusal(relation.id, partial(self._digest, request)):
                yield f"{request.application}: Keystone refuses what it asks for: {refusal}"
            elif denied := [role for role in _extra(request) if not self._allows(request, role)]:
                wanted = ",".join(f"{request.application}:{role}" for role in denied)
                yield (
                    f"{request.application} asks for the role {denied[0]}, which you have not allowed: "
                    f"add {wanted} to the option extra-roles of {self.model.app.name}"
                )

    def _allows(self, request: Request, role: str) -> bool:
        return (request.application, role) in self.settings().extra_roles

    def _roles(self, request: Request) -> tuple[str, ...]:
        """Return the roles that a relation's user gets: the usual, or those of them that it says are enough, and what is allowed."""
        enough = request.enough if isinstance(request, identity_service.Request) else ()
        usual = [role for role in USUAL if role in enough] or USUAL
        return (*usual, *(role for role in _extra(request) if self._allows(request, role)))

    def _digest(self, request: Request) -> str:
        place = self.place()
        inner = () if place.internal_url == place.url else (place.internal_url,)
        made_of = (asdict(request), self._roles(request), place.url, self.cluster.shared["names"], *inner)
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()

    def _users(self, request: Request | None = None) -> _Users:
        roles = self._roles(request) if request else ()
        return _Users(self.admin(), self.place().names, roles)

    # The answers

    def _try(self, relation: ops.Relation, request: Request, digest: str) -> None:
        """Answer a relation, or record why Keystone refuses what it asks for."""
        try:
            self._answer(relation, request)
        except RefusedError as error:
            self._grants.refuse(relation.id, digest, str(error))
            return
        self._grants.answered(relation.id, digest)

    def _answer(self, relation: ops.Relation, request: Request) -> None:
        before, services = self.record(relation.id).get("services", []), _services(request)
        dropped = [service for service in before if service not in services]
        # What is refused half way goes with the relation.
        self._records.note(relation.id, services=[*dropped, *services])
        _register(self.admin(), request)
        self._withdraw_services(relation.id, dropped)
        self._records.note(relation.id, services=services)
        users = self._users(request)
        first = f"{USER}{request.application}-{relation.id}-1"
        secret = self._grants.publish(relation.id, first, users)
        self._publish(relation, users.made, secret)

    def _withdraw(self, relation_id: int) -> None:
        """Delete the users of a relation that is gone, and what only it has in the catalogue."""
        self._withdraw_services(relation_id, self.record(relation_id).get("services", []))
        self._grants.withdraw(relation_id, self._users())

    def _withdraw_services(self, relation_id: int, services: list[list[str]]) -> None:
        others = [
            service
            for number in self._records
            if number != relation_id
            for service in self.record(number).get("services", [])
        ]
        for name, kind, region in (service for service in services if service not in others):
            _unregister(self.admin(), name, kind, region)

    def _publish(self, relation: ops.Relation, user_id: str, secret: str = "") -> None:
        """Publish to a relation all it needs; without `secret`, the one that was published before stays."""
        place = self.place()
        names = place.names
        published = relation.data[self.model.app]
        common = {"region": place.region, "admin_role": USUAL[0]}
        if relation.name == "identity-service":
            identity = identity_service.Identity(
                public_url=place.url,
                internal_url=place.internal_url,
                admin_url=place.internal_url,
                service_user_id=user_id,
                service_project=names["service_project"],
                service_domain=names["service_domain"],
                admin_project=names["admin_project"],
                admin_domain=names["admin_domain"],
                admin_user=names["admin_user"],
                credentials=secret or published["service-credentials"],
                **common,
            )
            identity_service.publish(relation, self.model.app, identity)
            return
        identity_credentials.publish(
            relation,
            self.model.app,
            identity_credentials.Identity(
                public_url=place.url,
                internal_url=place.internal_url,
                project=names["service_project"],
                project_domain=names["service_domain"],
                user_domain=names["service_domain"],
                credentials=secret or published["credentials"],
                **common,
            ),
        )


class _Users:
    """Users of one relation in Keystone, with their roles; to drop one, no roles are needed.

    `made` is Keystone's id of the last one that was made.
    """

    def __init__(self, admin: Admin, names: dict[str, Named], roles: tuple[str, ...]) -> None:
        self._admin = admin
        self._domain = names["service_domain"].id
        self._project = names["service_project"].id
        self._roles = roles
        self.made = ""

    def make(self, user: str, password: str) -> None:
        """Have a user with this password and these roles in the project, and no others."""
        found = self._admin.ensure_user(
            {"name": user, "domain_id": self._domain},
            password,
            default_project_id=self._project,
            options=UNLOCKED,
        )
        where = f"projects/{self._project}"
        wanted = {self._admin.ensure("roles", {"name": name})["id"] for name in self._roles}
        for role in wanted:
            self._admin.grant(where, found["id"], role)
        for role in self._admin.granted(where, found["id"]) - wanted:
            self._admin.revoke(where, found["id"], role)
        self.made = found["id"]

    def drop(self, user: str) -> None:
        """Have no such user."""
        for found in self._admin.find("users", name=user, domain_id=self._domain):
            self._admin.delete("users", found["id"])


def _read(relation: ops.Relation) -> Request | None:
    """Return what a relation asks for; None as long as that is nothing.

    Raises:
        RelationError: It cannot be served as it asks; the message says what is to be done.
    """
    request: Request | None = ENDPOINTS[relation.name].read_request(relation)
    if not isinstance(request, identity_service.Request):
        return request
    for endpoint in request.endpoints:
        if not (endpoint.service_name and endpoint.type):
            raise RelationError(
                f"{request.application} names no service or no type of it: see what it writes as service-endpoints"
            )
        for kind in INTERFACES:
            url = getattr(endpoint, f"{kind}_url")
            if not _is_url(url):
                raise RelationError(
                    f"{request.application} asks for the {kind} URL {url!r} in the catalogue: "
                    "expected one such as https://10.0.0.7/image"
                )
    return request


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _extra(request: Request) -> tuple[str, ...]:
    """Return the roles beyond the usual that a relation asks for."""
    roles = request.roles if isinstance(request, identity_service.Request) else ()
    return tuple(role for role in roles if role not in USUAL)


def _services(request: Request) -> list[list[str]]:
    """Return what a relation has in the catalogue, for the record."""
    if not isinstance(request, identity_service.Request):
        return []
    return [[one.service_name, one.type, request.region] for one in request.endpoints]


def _register(admin: Admin, request: Request) -> None:
    """Have the catalogue say what a service asks for."""
    if not isinstance(request, identity_service.Request):
        return
    if all(region["id"] != request.region for region in admin.find("regions")):
        admin.request("POST", "/v3/regions", {"region": {"id": request.region}})
    for endpoint in request.endpoints:
        what = {"name": endpoint.service_name, "type": endpoint.type}
        service = admin.ensure("services", what, description=endpoint.description)
        for kind in INTERFACES:
            place = {"service_id": service["id"], "interface": kind, "region_id": request.region}
            admin.ensure("endpoints", place, url=getattr(endpoint, f"{kind}_url"))


def _unregister(admin: Admin, name: str, kind: str, region: str) -> None:
    """Take a service's endpoints of a region out of the catalogue, and the service if there are none of others."""
    for found in admin.find("services", name=name, type=kind):
        endpoints = admin.find("endpoints", service_id=found["id"])
        for endpoint in endpoints:
            if endpoint["region_id"] == region:
                admin.delete("endpoints", endpoint["id"])
        if all(endpoint["region_id"] == region for endpoint in endpoints):
            admin.delete("services", found["id"])
