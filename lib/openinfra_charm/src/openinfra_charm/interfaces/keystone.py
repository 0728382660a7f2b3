"""The `keystone` interface (endpoint `identity-service`): a user and a place in the catalogue for a service.

The wire format is that of Sunbeam's charms (library `charms.keystone_k8s.v1.identity_service`), all of it in application
data. The requirer writes `region`, `service-endpoints` (a JSON list of `{service_name, type, description, public_url,
internal_url, admin_url}`) and, if it wants them, `extra-roles` (a JSON list of role names). The provider writes the keys of
`Identity.on_the_wire`, among them `service-credentials`, the id of a secret with `username` and `password`.

Beyond the published format, a requirer may write `roles-enough`, a JSON list of those of the usual roles that are enough for its user:
it asks for fewer rights.

A requirer that offers nothing itself, but validates tokens, writes an empty list of endpoints.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from openinfra_charm.model import databag, secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ops

API_VERSION = "v3"


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A service of the catalogue and where it is reached, as `https://10.0.0.7:9292`."""

    service_name: str
    type: str
    description: str
    public_url: str
    internal_url: str
    admin_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a requirer asks for, as the provider sees it.

    `roles` are those that its user shall have besides the usual; `enough` names those of the usual that it needs, empty: all.
    """

    relation_id: int
    application: str
    region: str
    endpoints: tuple[Endpoint, ...]
    roles: tuple[str, ...] = ()
    enough: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A project, domain or user: its name and Keystone's id of it."""

    name: str
    id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What the provider says of itself and of the requirer's user, but for the password.

    URLs end in `/v3`. `credentials` is the id of the secret.
    """

    public_url: str
    internal_url: str
    admin_url: str
    region: str
    admin_role: str
    service_project: Named
    service_domain: Named
    service_user_id: str
    admin_project: Named
    admin_domain: Named
    admin_user: Named
    credentials: str

    def on_the_wire(self) -> dict[str, str]:
        """Return all keys and values as the published library writes them."""
        return {
            "api-version": API_VERSION,
            **address("auth", self.admin_url),
            **address("internal", self.internal_url),
            **address("service", self.public_url),
            **written(self, _KEYS, _NAMED),
        }


_KEYS = {
    "public_url": "public-auth-url",
    "internal_url": "internal-auth-url",
    "admin_url": "admin-auth-url",
    "region": "region",
    "admin_role": "admin-role",
    "service_user_id": "service-user-id",
    "credentials": "service-credentials",
}
"""What the wire format calls the texts of an `Identity`."""
_NAMED = ("service-project", "service-domain", "admin-project", "admin-domain", "admin-user")


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What a service needs to validate tokens and to have its own."""

    identity: Identity
    username: str
    password: str


def address(prefix: str, url: str) -> dict[str, str]:
    """Return a URL as the three keys `<prefix>-protocol`, `-host` and `-port` that older requirers read."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    return {
        f"{prefix}-protocol": parts.scheme,
        f"{prefix}-host": parts.hostname or "",
        f"{prefix}-port": str(port),
    }


def written(identity: object, keys: Mapping[str, str], named: Iterable[str]) -> dict[str, str]:
    """Return what is written of an identity: texts, by the names of its fields, and what has two keys each, a name and an id."""
    found: dict[str, str] = {key: getattr(identity, name) for name, key in keys.items()}
    for key in named:
        one: Named = getattr(identity, key.replace("-", "_"))
        found |= {f"{key}-name": one.name, f"{key}-id": one.id}
    return found


def read(data: Mapping[str, str], keys: Mapping[str, str], named: Iterable[str]) -> dict[str, Any]:
    """Return the fields of an identity that `written` has written."""
    names = {key: Named(name=data.get(f"{key}-name", ""), id=data.get(f"{key}-id", "")) for key in named}
    texts = {name: data.get(key, "") for name, key in keys.items()}
    return {**texts, **{key.replace("-", "_"): one for key, one in names.items()}}


# The provider


def read_request(relation: ops.Relation) -> Request | None:
    """Return what the other side asks for; None as long as it has not said in which region."""
    data = relation.data[relation.app]
    region, wanted = data.get("region", ""), data.get("service-endpoints", "")
    if not (region and wanted):
        return None
    roles, enough = (databag.load(data.get(key, ""), list) for key in ("extra-roles", "roles-enough"))
    return Request(
        relation_id=relation.id,
        application=relation.app.name,
        region=region,
        endpoints=tuple(
            _endpoint(cast("dict[str, Any]", one))
            for one in databag.load(wanted, list)
            if isinstance(one, dict)
        ),
        roles=tuple(str(role) for role in roles),
        enough=tuple(str(role) for role in enough),
    )


def publish(relation: ops.Relation, application: ops.Application, identity: Identity) -> None:
    """As the provider's leader, tell the requirer all it needs. Its secret is granted before."""
    for key, text in identity.on_the_wire().items():
        databag.put(relation.data[application], key, text)


# The requirer


def send_request(
    relation: ops.Relation,
    application: ops.Application,
    endpoints: Iterable[Endpoint],
    *,
    region: str,
    roles: Iterable[str] = (),
    enough: Iterable[str] = (),
) -> None:
    """As the requirer's leader, ask for a user, and for a place in the catalogue for each endpoint.

    Args:
        relation: The relation.
        application: The requirer.
        endpoints: What it offers.
        region: Where.
        roles: Those that its user shall have besides the usual; the operator has to allow them.
        enough: Those of the usual roles that it needs, where it does not need all.
    """
    data = relation.data[application]
    wanted = [asdict(endpoint) for endpoint in endpoints]
    databag.put(data, "service-endpoints", json.dumps(wanted, sort_keys=True))
    for key, wanted in (("extra-roles", list(roles)), ("roles-enough", list(enough))):
        databag.put(data, key, json.dumps(wanted) if wanted else "")
    databag.put(data, "region", region)


def read_access(model: ops.Model, relation: ops.Relation, *, refresh: bool = True) -> Access | None:
    """As the requirer, return how to reach Keystone and as whom; None until the provider has answered.

    Without `refresh` the newest user is only peeked at, for a unit that has to restart before it uses it: the provider ends
    older ones when all units use it.

    Raises:
        RelationError: The provider has said something that cannot be used.
    """
    data = relation.data[relation.app]
    content = secrets.find(model, data.get("service-credentials"), refresh=refresh)
    if not (content and data.get("internal-auth-url")):
        return None
    check_access(relation, content)
    return Access(
        identity=Identity(**read(data, _KEYS, _NAMED)),
        username=content["username"],
        password=content["password"],
    )


def check_access(relation: ops.Relation, content: Mapping[str, str]) -> None:
    """See that what a provider of an identity says, and the credentials that it gives, can be written into files.

    Raises:
        RelationError: One of them cannot.
    """
    said = relation.data[relation.app]
    urls = {key: said[key] for key in said if key.endswith(("-url", "-endpoint"))}
    databag.check(relation, databag.URL, urls)
    databag.check(relation, databag.LINE, {key: said[key] for key in said if key not in urls})
    databag.check(relation, databag.LINE, content, secret=True)


def _endpoint(entry: dict[str, Any]) -> Endpoint:
    texts = {name: str(entry.get(name, "")) for name in Endpoint.__dataclass_fields__}
    return Endpoint(**texts)
