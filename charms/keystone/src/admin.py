"""Keystone's API as the charm uses it: over the socket of this machine's process, as the charm's own user.

The API is the Identity API v3 (https://docs.openstack.org/api-ref/identity/v3/).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from openinfra_charm.model.status import NotYetError

if TYPE_CHECKING:
    from openinfra_charm.machine import Answer, Machine

DEFAULT_DOMAIN = "default"
_CREATED, _REFUSED, _UNAUTHORIZED, _NOT_FOUND, _BROKEN = 201, 400, 401, 404, 500


class UnreachableError(NotYetError):
    """Keystone does not answer, or cannot do its work; the message says why."""


class UnauthorizedError(Exception):
    """Keystone does not know the user, or not with this password."""


class RefusedError(Exception):
    """Keystone refuses what the charm asks for; the message is Keystone's."""


class Admin:
    """A session of one user; it logs in when it is first used."""

    def __init__(self, machine: Machine, socket: str, username: str, password: str) -> None:
        self._machine = machine
        self._socket = socket
        self._username = username
        self._password = password
        self._token = ""

    def log_in(self) -> None:
        """Have a token for the whole system.

        Raises:
            UnauthorizedError: The user or its password is not right.
            UnreachableError: Keystone cannot do its work.
        """
        identity = _identity(self._username, DEFAULT_DOMAIN, self._password)
        body = {"auth": {**identity, "scope": {"system": {"all": True}}}}
        answer = self._send("POST", "/v3/auth/tokens", body, {})
        if answer.status == _UNAUTHORIZED:
            raise UnauthorizedError(self._username)
        if answer.status != _CREATED:
            raise RefusedError(_reason(answer))
        self._token = answer.headers["x-subject-token"]

    def find(self, kind: str, **filters: str) -> list[dict[str, Any]]:
        """Return all of a kind (`users`, `projects`, ...) that the filters let through."""
        query = f"?{urlencode(filters)}" if filters else ""
        return self.request("GET", f"/v3/{kind}{query}")[kind]

    def ensure(self, kind: str, what: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Have one of a kind that is `what`, by which it is looked for, with what it is besides (`more`)."""
        found = self.find(kind, **what)
        if not found:
            one = kind.removesuffix("s")
            return self.request("POST", f"/v3/{kind}", {one: {**what, **more}})[one]
        if any(found[0].get(key) != value for key, value in more.items()):
            return self.update(kind, found[0]["id"], **more)
        return found[0]

    def ensure_user(self, what: dict[str, Any], password: str, **more: Any) -> dict[str, Any]:
        """Have a user that is `what` (`name` and `domain_id`) with a password.

        A password that is the right one already is left alone: to write it, even the same, ends the user's tokens.
        """
        found = self.find("users", **what)
        if found and self._lets_in(what["name"], what["domain_id"], password):
            return self.ensure("users", what, **more)
        return self.ensure("users", what, password=password, **more)

    def _lets_in(self, name: str, domain_id: str, password: str) -> bool:
        body = {"auth": {**_identity(name, domain_id, password), "scope": "unscoped"}}
        return self._send("POST", "/v3/auth/tokens", body, {}).status == _CREATED

    def update(self, kind: str, identifier: str, **changes: Any) -> dict[str, Any]:
        """Change one of a kind."""
        one = kind.removesuffix("s")
        return self.request("PATCH", f"/v3/{kind}/{identifier}", {one: changes})[one]

    def delete(self, kind: str, identifier: str) -> None:
        """Delete one of a kind; what is not there is as good as deleted."""
        self.request("DELETE", f"/v3/{kind}/{identifier}")

    def grant(self, where: str, user_id: str, role_id: str) -> None:
        """Give a user a role, `where` it is meant to have it: `projects/<id>`, `domains/<id>` or `system`."""
        self.request("PUT", f"/v3/{where}/users/{user_id}/roles/{role_id}")

    def revoke(self, where: str, user_id: str, role_id: str) -> None:
        """Take a role back that a user has there."""
        self.request("DELETE", f"/v3/{where}/users/{user_id}/roles/{role_id}")

    def granted(self, where: str, user_id: str) -> set[str]:
        """Return the ids of the roles that a user was given there."""
        return {role["id"] for role in self.request("GET", f"/v3/{where}/users/{user_id}/roles")["roles"]}

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a request; return what was answered, None where that is nothing.

        Raises:
            UnauthorizedError: The user or its password is not right.
            UnreachableError: Keystone cannot do its work.
            RefusedError: Keystone refuses it.
        """
        if not self._token:
            self.log_in()
        answer = self._send(method, path, body, {"X-Auth-Token": self._token})
        if answer.status >= _REFUSED and not (method == "DELETE" and answer.status == _NOT_FOUND):
            raise RefusedError(f"{method} {path.partition('?')[0]}: {_reason(answer)}")
        return json.loads(answer.body) if answer.body and answer.status < _NOT_FOUND else None

    def _send(self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> Answer:
        text = None if body is None else json.dumps(body)
        kind = {"Content-Type": "application/json"} if text else {}
        try:
            answer = self._machine.ask(self._socket, method, path, headers={**kind, **headers}, body=text)
        except OSError as error:
            raise UnreachableError(f"Keystone does not answer: {error}") from error
        if answer.status >= _BROKEN:
            raise UnreachableError(f"Keystone cannot work now: {_reason(answer)}")
        return answer


def _identity(name: str, domain_id: str, password: str) -> dict[str, Any]:
    """Return how a user logs in by its password."""
    user = {"name": name, "domain": {"id": domain_id}, "password": password}
    return {"identity": {"methods": ["password"], "password": {"user": user}}}


def _reason(answer: Answer) -> str:
    try:
        return str(json.loads(answer.body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status}"
