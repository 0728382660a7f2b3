"""The `keystone-credentials` interface (endpoint `identity-credentials`): a Keystone user without a place in the catalogue.

The wire format is that of Sunbeam's charms (library `charms.keystone_k8s.v0.identity_credentials`), all of it in application
data. The requirer writes the `username` that it would like. The provider writes the keys of `Identity.on_the_wire`, among
them `credentials`, the id of a secret with `username` and `password`: the user's real name is the secret's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openinfra_charm.interfaces.keystone import Named, address, check_access, read, written
from openinfra_charm.model import databag, secrets

if TYPE_CHECKING:
    import ops

API_VERSION = "3"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a requirer asks for, as the provider sees it."""

    relation_id: int
    application: str
    username: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What the provider says of itself and of the requirer's user, but for the password.

    URLs end in `/v3`. `credentials` is the id of the secret.
    """

    public_url: str
    internal_url: str
    region: str
    admin_role: str
    project: Named
    project_domain: Named
    user_domain: Named
    credentials: str

    def on_the_wire(self) -> dict[str, str]:
        """Return all keys and values as the published library writes them."""
        return {
            "api-version": API_VERSION,
            **address("auth", self.public_url),
            **address("internal", self.internal_url),
            **written(self, _KEYS, _NAMED),
        }


_KEYS = {
    "public_url": "public-endpoint",
    "internal_url": "internal-endpoint",
    "region": "region",
    "admin_role": "admin-role",
    "credentials": "credentials",
}
"""What the wire format calls the texts of an `Identity`."""
_NAMED = ("project", "project-domain", "user-domain")


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What a client needs to have tokens."""

    identity: Identity
    username: str
    password: str


def read_request(relation: ops.Relation) -> Request | None:
    """As the provider, return what the other side asks for; None as long as it asks for nothing."""
    username = relation.data[relation.app].get("username", "")
    if not username:
        return None
    return Request(relation_id=relation.id, application=relation.app.name, username=username)


def publish(relation: ops.Relation, application: ops.Application, identity: Identity) -> None:
    """As the provider's leader, tell the requirer all it needs. Its secret is granted before."""
    for key, text in identity.on_the_wire().items():
        databag.put(relation.data[application], key, text)


def send_request(relation: ops.Relation, application: ops.Application, username: str) -> None:
    """As the requirer's leader, ask for a user."""
    databag.put(relation.data[application], "username", username)


def read_access(model: ops.Model, relation: ops.Relation, *, refresh: bool = True) -> Access | None:
    """As the requirer, return how to reach Keystone and as whom; None until the provider has answered.

    Without `refresh` the newest user is only peeked at, as in `openinfra_charm.interfaces.keystone`.

    Raises:
        RelationError: The provider has said something that cannot be used.
    """
    data = relation.data[relation.app]
    content = secrets.find(model, data.get("credentials"), refresh=refresh)
    if not (content and data.get("internal-endpoint")):
        return None
    check_access(relation, content)
    return Access(
        identity=Identity(**read(data, _KEYS, _NAMED)),
        username=content["username"],
        password=content["password"],
    )
