"""What there is one of in Keystone: the charm's own user, the administrator, where services' users live, its own URL.

The leader's records, in the peer relation: `charm-secret`, `admin-secret`, the ids of secrets with `username` and
`password`; `bootstrapped`, the relation whose database was filled and with which characters; `names`, Keystone's ids of what
relations are told; `url`, what the catalogue says of Keystone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from admin import DEFAULT_DOMAIN, Admin, RefusedError, UnauthorizedError, UnreachableError
from openinfra_charm.interfaces.keystone import Named
from openinfra_charm.machine import CommandError
from openinfra_charm.model.actions import ActionError
from openinfra_charm.model.granted import new_password
from openinfra_charm.model.secrets import Own, find

if TYPE_CHECKING:
    from charm import KeystoneCharm
    from state import Settings

CHARM_USER = "openinfra-charm"
"""The charm's own user: the administrator's password may change without locking the charm out."""
ADMIN_USER = "admin"
ADMIN_ROLE = "admin"
SERVICE_DOMAIN = "service_domain"
SERVICE_PROJECT = "services"
CHARACTERS = "utf8mb4"
"""What the database's tables are made for, whatever they were made for before: any character."""
NEVER_LOCKED = {"ignore_lockout_failure_attempts": True}
"""An option of users that strangers must not be able to lock out by trying; their passwords are too long to be guessed."""


def make_secrets(charm: KeystoneCharm) -> None:
    """As the leader, choose the first passwords; Keystone gets them when Juju has them on record."""
    for key, username in (("charm-secret", CHARM_USER), ("admin-secret", ADMIN_USER)):
        content = {"username": username, "password": new_password()}
        charm.cluster.publish_shared(**{key: Own(charm.model, charm.app, key).put(content)})


def is_filled(charm: KeystoneCharm) -> bool:
    """Return whether schema and first accounts were made in the database that is related now."""
    return charm.cluster.shared.get("bootstrapped") == _filled(charm)


def bootstrap(charm: KeystoneCharm, settings: Settings) -> None:
    """As the leader, make the schema and the first accounts; where they are, this changes nothing.

    Raises:
        UnreachableError: That cannot be done now.
    """
    sync_database(charm)
    _bootstrap_user(charm, settings)
    charm.cluster.publish_shared(bootstrapped=_filled(charm))


def sync_database(charm: KeystoneCharm) -> None:
    """As the leader, bring the database's schema to this release, and its tables to all characters.

    Raises:
        UnreachableError: That cannot be done now, or not with this database.
    """
    try:
        charm.keystone.sync_database()
    except (CommandError, TimeoutError) as error:
        raise UnreachableError(
            f"the database cannot be brought to this release: {_last_line(error)}"
        ) from error


def _filled(charm: KeystoneCharm) -> list[Any]:
    database = charm.model.get_relation("database")
    return [database.id if database else None, CHARACTERS]


def session(charm: KeystoneCharm, settings: Settings) -> Admin:
    """Return a session of the charm's own user, who is made again if Keystone has lost him (an old backup)."""
    content = find(charm.model, charm.cluster.shared["charm-secret"]) or {}
    admin = Admin(charm.machine, charm.keystone.api.socket, content["username"], content["password"])
    try:
        admin.log_in()
    except UnauthorizedError:
        _bootstrap_user(charm, settings)
        admin.log_in()
    return admin


def why_no_token(charm: KeystoneCharm) -> str:
    """Return why the charm's own user gets no token from this unit; empty if it does."""
    if why := charm.keystone.api.problem():
        return why
    try:
        session(charm, charm.settings)
    except (UnreachableError, RefusedError) as error:
        return str(error)
    return ""


def ensure(charm: KeystoneCharm, settings: Settings) -> None:
    """As the leader of a Keystone that serves, have what all relations are told of, and the catalogue say where we are."""
    if "names" not in charm.cluster.shared:
        charm.cluster.publish_shared(names=_make(charm, charm.admin(settings)))
    urls = {"url": charm.url, "internal-url": charm.internal_url if charm.internal_url != charm.url else None}
    if any(charm.cluster.shared.get(key) != url for key, url in urls.items()):
        admin = charm.admin(settings)
        # An operator may have added an identity service, or endpoints of other regions.
        for service in admin.find("services", name="keystone", type="identity"):
            for endpoint in admin.find("endpoints", service_id=service["id"], region_id=settings.region):
                url = charm.url if endpoint["interface"] == "public" else charm.internal_url
                admin.update("endpoints", endpoint["id"], url=url)
        charm.cluster.publish_shared(**urls)


def administrator(charm: KeystoneCharm) -> dict[str, str]:
    """Return the administrator's `username` and `password`.

    Raises:
        ActionError: There is none yet.
    """
    content = find(charm.model, charm.cluster.shared.get("admin-secret"))
    if not content or "names" not in charm.cluster.shared:
        raise ActionError("Keystone is not set up yet; see the status of the leader")
    return content


def rotate_administrator(charm: KeystoneCharm) -> None:
    """As the leader, give the administrator a new password."""
    password = new_password()
    user = named(charm)["admin_user"]
    charm.admin(charm.settings).update("users", user.id, password=password)
    Own(charm.model, charm.app, "admin-secret").put({"username": user.name, "password": password})


def make_anew(charm: KeystoneCharm, settings: Settings) -> None:
    """As the leader, bring what a restored database has of all this to what is on record; ids may be other ones now."""
    _bootstrap_user(charm, settings)
    charm.cluster.publish_shared(names=_make(charm, charm.admin(settings)), url=None)


def named(charm: KeystoneCharm) -> dict[str, Named]:
    """Return the projects, domains and users that relations are told of."""
    names: dict[str, Any] = charm.cluster.shared["names"]
    return {key: Named(name=name, id=identifier) for key, (name, identifier) in names.items()}


def _bootstrap_user(charm: KeystoneCharm, settings: Settings) -> None:
    content = find(charm.model, charm.cluster.shared["charm-secret"]) or {}
    user, password = content["username"], content["password"]
    try:
        charm.keystone.bootstrap(user, password, url=charm.url, region=settings.region)
    except (CommandError, TimeoutError) as error:
        raise UnreachableError(f"the first accounts cannot be made: {_last_line(error)}") from error


def _last_line(error: Exception) -> str:
    """Return what a program said last: before that are the lines of its traceback."""
    return str(error).strip().splitlines()[-1].strip()


def _make(charm: KeystoneCharm, admin: Admin) -> dict[str, Any]:
    content = find(charm.model, charm.cluster.shared["admin-secret"]) or {}
    roles = {role["name"]: role["id"] for role in admin.find("roles")}
    (project,) = admin.find("projects", name="admin", domain_id=DEFAULT_DOMAIN)
    user = admin.ensure_user(
        {"name": content["username"], "domain_id": DEFAULT_DOMAIN}, content["password"], options=NEVER_LOCKED
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
