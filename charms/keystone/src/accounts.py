"""Keystone's first accounts: the charm's own user, the administrator, where services' users live; and Keystone's place in its catalogue.

The leader's records, in the peer relation: `charm-secret`, `admin-secret`, the ids of secrets with `username` and
`password`; `names`, Keystone's ids of what relations are given; `url`, `internal-url`, what the catalogue says of Keystone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from admin import DEFAULT_DOMAIN, Admin, RefusedError, UnauthorizedError, UnreachableError
from openinfra_charm.interfaces.keystone import Named
from openinfra_charm.machine import CommandError
from openinfra_charm.model.actions import ActionError
from openinfra_charm.model.granted import new_password
from openinfra_charm.model.secrets import Own, find
from openinfra_charm.openstack.founding import last_line

if TYPE_CHECKING:
    from collections.abc import Callable

    import ops

    from keystone import Keystone
    from openinfra_charm.machine import Machine
    from openinfra_charm.model.cluster import Cluster
    from openinfra_charm.openstack.entrance import Entrance

CHARM_USER = "openinfra-charm"
"""The charm's own user: the administrator's password may change without locking the charm out."""
ADMIN_USER = "admin"
ADMIN_ROLE = "admin"
SERVICE_DOMAIN = "service_domain"
SERVICE_PROJECT = "services"
NEVER_LOCKED = {"ignore_lockout_failure_attempts": True}
"""An option of users that strangers must not be able to lock out by trying; their passwords are too long to be guessed."""


@dataclass(kw_only=True)
class Accounts:
    """The accounts of which Keystone has one each."""

    model: ops.Model
    cluster: Cluster
    """Where the leader keeps its records."""
    machine: Machine
    keystone: Keystone
    entrance: Entrance
    region: Callable[[], str]
    _admin: Admin | None = field(default=None, init=False)

    # What is known

    @property
    def url(self) -> str:
        """Where clients reach Keystone."""
        return f"{self.entrance.url}/v3"

    @property
    def internal_url(self) -> str:
        """Where services reach it."""
        return f"{self.entrance.internal_url}/v3"

    @property
    def are_made(self) -> bool:
        """Whether there is all that relations are given."""
        return "names" in self.cluster.shared

    def named(self) -> dict[str, Named]:
        """Return the projects, domains and users that relations are given."""
        names: dict[str, Any] = self.cluster.shared["names"]
        return {key: Named(name=name, id=identifier) for key, (name, identifier) in names.items()}

    def administrator(self) -> dict[str, str]:
        """Return the administrator's `username` and `password`.

        Raises:
            ActionError: There is none yet.
        """
        content = self._content("admin-secret")
        if not content or not self.are_made:
            raise ActionError("Keystone is not set up yet; see the status of the leader")
        return content

    def _content(self, key: str) -> dict[str, str]:
        return find(self.model, self.cluster.shared.get(key)) or {}

    # Sessions

    def admin(self) -> Admin:
        """Return this hook's session with Keystone."""
        if self._admin is None:
            self._admin = self._session()
        return self._admin

    def _session(self) -> Admin:
        """Return a session of the charm's own user, who is made again if Keystone has lost him (an old backup)."""
        content = self._content("charm-secret")
        admin = Admin(self.machine, self.keystone.socket, content["username"], content["password"])
        try:
            admin.log_in()
        except UnauthorizedError:
            self.bootstrap()
            admin.log_in()
        return admin

    def why_no_token(self) -> str:
        """Return why the charm's own user gets no token from this unit; empty if it does."""
        try:
            self._session()
        except (UnreachableError, RefusedError) as error:
            return str(error)
        return ""

    # As the leader

    def make_secrets(self) -> None:
        """Choose the first passwords; Keystone gets them when Juju has them on record."""
        for key, username in (("charm-secret", CHARM_USER), ("admin-secret", ADMIN_USER)):
            content = {"username": username, "password": new_password()}
            self.cluster.publish_shared(**{key: Own(self.model, self.model.app, key).put(content)})

    def bootstrap(self) -> None:
        """Make what a Keystone begins with, and the charm's own user; where they are, this changes nothing.

        Raises:
            UnreachableError: That cannot be done now.
        """
        content = self._content("charm-secret")
        user, password = content["username"], content["password"]
        try:
            self.keystone.bootstrap(user, password, url=self.url, region=self.region())
        except (CommandError, TimeoutError) as error:
            raise UnreachableError(f"the first accounts cannot be made: {last_line(error)}") from error

    def ensure(self) -> None:
        """Have what all relations are given, and the catalogue say where we are; Keystone serves."""
        if not self.are_made:
            self.cluster.publish_shared(names=self._make(self.admin()))
        urls = {"url": self.url, "internal-url": self.internal_url if self.internal_url != self.url else None}
        if any(self.cluster.shared.get(key) != url for key, url in urls.items()):
            admin = self.admin()
            # An operator may have added an identity service, or endpoints of other regions.
            for service in admin.find("services", name="keystone", type="identity"):
                for endpoint in admin.find("endpoints", service_id=service["id"], region_id=self.region()):
                    url = self.url if endpoint["interface"] == "public" else self.internal_url
                    admin.update("endpoints", endpoint["id"], url=url)
            self.cluster.publish_shared(**urls)

    def rotate_administrator(self) -> None:
        """Give the administrator a new password."""
        password = new_password()
        user = self.named()["admin_user"]
        self.admin().update("users", user.id, password=password)
        Own(self.model, self.model.app, "admin-secret").put({"username": user.name, "password": password})

    def restore(self) -> None:
        """Bring what a restored database has of all this to what is on record; ids may be other ones now."""
        self.bootstrap()
        self.cluster.publish_shared(names=self._make(self.admin()), url=None)

    def _make(self, admin: Admin) -> dict[str, Any]:
        content = self._content("admin-secret")
        roles = {role["name"]: role["id"] for role in admin.find("roles")}
        (project,) = admin.find("projects", name="admin", domain_id=DEFAULT_DOMAIN)
        user = admin.ensure_user(
            {"name": content["username"], "domain_id": DEFAULT_DOMAIN},
            content["password"],
            options=NEVER_LOCKED,
        )
        admin.ensure("users", {"name": CHARM_USER, "domain_id": DEFAULT_DOMAIN}, options=NEVER_LOCKED)
        admin.grant(f"projects/{project['id']}", user["id"], roles[ADMIN_ROLE])
        admin.grant("system", user["id"], roles[ADMIN_ROLE])
        admin.grant(f"domains/{DEFAULT_DOMAIN}", user["id"], roles[ADMIN_ROLE])
        domain = admin.ensure("domains", {"name": SERVICE_DOMAIN})
        services = admin.ensure("projects", {"name": SERVICE_PROJECT, "domain_id": domain["id"]})
        return {
            "service_domain": [domain["name"], domain["id"]],
            "service_project": [services["name"], services["id"]],
            "admin_domain": ["Default", DEFAULT_DOMAIN],
            "admin_project": [project["name"], project["id"]],
            "admin_user": [user["name"], user["id"]],
        }
