"""A software twin of Keystone: what is in its database, and which tokens a process with these keys on its disk takes.

Played: users, projects, domains, roles, assignments, regions, services and endpoints of the Identity API as the charm uses it;
passwords; tokens, which name the key that encrypted them and which the process takes as long as that key is on its disk,
they have not ended, and their user is there with the password that it had; stored credentials and their migration; the
schema, and `bootstrap`, which may be repeated.

Left out: the database itself (it is always there), caching, policies (whoever has a token may do everything), and every
resource that the charm does not touch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from openinfra_charm.machine import Answer

if TYPE_CHECKING:
    from openinfra_charm.testing import Request

ROLES = ("admin", "manager", "member", "reader", "service")
LONGEST = 255
UNIQUE = {
    "users": ("name", "domain_id"),
    "projects": ("name", "domain_id"),
    "domains": ("name",),
    "roles": ("name",),
}


@dataclass(frozen=True)
class Token:
    """A token: the key that encrypted it, whose it is, with which password (its `stamp`), and when it ends."""

    key: str
    user: str
    password: str
    issued: float
    ends: float


@dataclass
class Database:
    """What all processes of one Keystone share. `bootstrapped` are the accounts that were made this way."""

    synced: bool = False
    characters: str = "utf8mb3"
    """What the tables' names may consist of."""
    bootstrapped: list[tuple[str, str]] = field(default_factory=list)
    tables: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    grants: set[tuple[str, str, str]] = field(default_factory=set)
    credentials: dict[str, str] = field(default_factory=dict)
    """Stored credentials, and the key that each is encrypted with."""
    made: int = 0
    """How many things have got an id."""

    def table(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return all of a kind by their ids."""
        return self.tables.setdefault(kind, {})

    def find(self, kind: str, **filters: Any) -> list[dict[str, Any]]:
        """Return those of a kind that have these values."""
        return [one for one in self.table(kind).values() if all(one.get(k) == v for k, v in filters.items())]

    def add(self, kind: str, values: dict[str, Any]) -> dict[str, Any]:
        """Put one of a kind into its table."""
        self.made += 1
        one = {"id": f"{kind[0]}{self.made}", "enabled": True, **values}
        self.table(kind)[one["id"]] = one
        return one

    @staticmethod
    def stamp(user: dict[str, Any]) -> str:
        """Return what a user's tokens are good for: its password, as often as it was written."""
        return f"{user.get('written', 0)} {user['password']}"

    # keystone-manage

    def sync(self) -> None:
        """Make the schema, and the domain that comes with it."""
        self.synced = True
        self.table("domains").setdefault("default", {"id": "default", "name": "Default"})

    def bootstrap(self, username: str, password: str, url: str, region: str) -> None:
        """Make what a first start needs; what is there stays, but for the user's password."""
        assert self.synced, "there is no schema"
        self.bootstrapped.append((username, password))
        for name in ROLES:
            if not self.find("roles", name=name):
                self.add("roles", {"name": name})
        if not self.find("projects", name="admin"):
            self.add("projects", {"name": "admin", "domain_id": "default"})
        user = self.find("users", name=username) or [
            self.add("users", {"name": username, "domain_id": "default"})
        ]
        user[0]["password"] = password
        self.table("regions").setdefault(region, {"id": region})
        service = self.find("services", type="identity") or [
            self.add("services", {"name": "keystone", "type": "identity"})
        ]
        for interface in ("public", "internal", "admin"):
            if not self.find("endpoints", service_id=service[0]["id"], interface=interface):
                place = {
                    "service_id": service[0]["id"],
                    "interface": interface,
                    "region_id": region,
                    "url": url,
                }
                self.add("endpoints", place)


class Api:
    """One process: the database that it reaches, and the keys and the lifetime on its machine."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def answer(
        self, request: Request, keys: dict[int, str], lifetime: float, now: float
    ) -> tuple[Answer, Token | None]:
        """Answer a request; return the token too, where one was asked for."""
        path, _, query = request.path.partition("?")
        if path == "/openinfra/health":
            why = "" if keys and self.database.synced else "database: ProgrammingError"
            return Answer(status=503 if why else 200, headers={}, body=why or "healthy"), None
        if not keys:
            return _error(500, "no keys"), None
        body = json.loads(request.body) if request.body else {}
        if path == "/v3/auth/tokens":
            wanted = body["auth"]["identity"]["password"]["user"]
            return self._log_in(wanted, keys, lifetime, now)
        parts = path.removeprefix("/v3/").split("/")
        return self._act(request.method, parts, dict(parse_qsl(query)), body), None

    def _log_in(
        self, wanted: dict[str, Any], keys: dict[int, str], lifetime: float, now: float
    ) -> tuple[Answer, Token | None]:
        domain = wanted["domain"]["id"]
        found = self.database.find("users", name=wanted["name"], domain_id=domain, enabled=True)
        if not found or found[0]["password"] != wanted["password"]:
            return _error(401, "The request you have made requires authentication."), None
        token = Token(keys[max(keys)], found[0]["id"], self.database.stamp(found[0]), now, now + lifetime)
        headers = {"x-subject-token": f"token-of-{found[0]['name']}"}
        return Answer(status=201, headers=headers, body="{}"), token

    def takes(self, token: Token, keys: dict[int, str], now: float) -> bool:
        """Return whether a process with these keys takes a token."""
        user = self.database.table("users").get(token.user)
        known = user is not None and self.database.stamp(user) == token.password
        return known and token.key in keys.values() and now < token.ends

    def _act(self, method: str, parts: list[str], query: dict[str, str], body: dict[str, Any]) -> Answer:
        if "roles" in parts[1:]:
            return self._assign(method, parts)
        kind = parts[0]
        one = kind.removesuffix("s")
        if method == "GET":
            return _found(kind, self.database.find(kind, **query))
        if method == "POST":
            values = body[one]
            if why := _why_not(kind, values):
                return _error(400, why)
            same = {key: values.get(key) for key in UNIQUE.get(kind, ())}
            if same and self.database.find(kind, **same):
                return _error(409, f"Conflict occurred attempting to store {one}")
            return Answer(status=201, headers={}, body=json.dumps({one: self.database.add(kind, values)}))
        return self._change(method, kind, parts[1], body)

    def _assign(self, method: str, parts: list[str]) -> Answer:
        """Give, take or list the roles of a user."""
        at = parts.index("users", 1)
        where, user, roles = "/".join(parts[:at]), parts[at + 1], parts[at + 3 :]
        if method == "GET":
            held = sorted(role for place, who, role in self.database.grants if (place, who) == (where, user))
            return _found("roles", [self.database.table("roles")[role] for role in held])
        change = self.database.grants.add if method == "PUT" else self.database.grants.discard
        change((where, user, roles[0]))
        return Answer(status=204, headers={}, body="")

    def _change(self, method: str, kind: str, identifier: str, body: dict[str, Any]) -> Answer:
        table, one = self.database.table(kind), kind.removesuffix("s")
        if identifier not in table:
            return _error(404, f"Could not find {one}: {identifier}.")
        if method == "PATCH":
            if why := _why_not(kind, body[one]):
                return _error(400, why)
            table[identifier].update(body[one])
            if kind == "users" and "password" in body[one]:
                # Whatever it was before: Keystone ends the user's tokens.
                table[identifier]["written"] = table[identifier].get("written", 0) + 1
            return _found(one, table[identifier])
        del table[identifier]
        if kind == "users":
            self.database.grants = {grant for grant in self.database.grants if grant[1] != identifier}
        return Answer(status=204, headers={}, body="")


def _why_not(kind: str, values: dict[str, Any]) -> str:
    """Return why Keystone does not take these values (its JSON schemas); empty if it does."""
    if kind == "endpoints" and not values.get("url", "http://unchanged").startswith("http"):
        return f"Invalid input for field 'url': {values['url']!r} is not a 'uri'"
    if kind == "services" and len(values.get("type", "")) > LONGEST:
        return f"Invalid input for field 'type': {values['type']!r} is too long"
    return ""


def _found(name: str, what: object) -> Answer:
    return Answer(status=200, headers={}, body=json.dumps({name: what}))


def _error(status: int, message: str) -> Answer:
    return Answer(status=status, headers={}, body=json.dumps({"error": {"message": message}}))
