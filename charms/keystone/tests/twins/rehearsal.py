"""Keystone's twin as rehearsals play it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import programs
import twin

from openinfra_charm import testing
from openinfra_charm.testing.packaging import Packaging

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


SECRETS = {"identity-service": "service-credentials", "identity-credentials": "credentials"}
"""Where those related to an endpoint find their user."""


class Twin(testing.Twin):
    """One Keystone on the machines of one application."""

    def __init__(self) -> None:
        self.database = twin.Database()
        self.issued: list[twin.Token] = []
        self.nodes: list[programs.Keystone] = []

    def join(self, machine: testing.MemoryMachine, address: str) -> None:
        """Give a machine Python's packaging, the library for certificates, and Keystone."""
        node = programs.Keystone(self.database, self.issued, machine)
        node.listen(address, self.nodes)
        self.nodes.append(node)
        machine.bring(Packaging(machine))
        machine.bring(testing.Cryptography())
        machine.bring(node)

    def violations(self) -> Iterator[str]:
        """Yield what no charm may ever do to users and their tokens."""
        accounts = set(self.database.bootstrapped)
        if len(accounts) > 1:
            yield f"one bootstrap: {len(accounts)} accounts or passwords were made by it"
        for node in self.nodes:
            now = node.machine.now()
            valid = [token for token in self.issued if now < token.ends and self._user_is_there(token)]
            lost = [token for token in valid if node.serves and not node.takes(token)]
            if lost:
                yield f"a token within its lifetime is taken everywhere: {len(lost)} of {len(valid)} are not on {node.machine.name}"

    def _user_is_there(self, token: twin.Token) -> bool:
        user = self.database.table("users").get(token.user)
        return user is not None and self.database.stamp(user) == token.password

    def unfinished(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how many units do not serve, and what the catalogue lacks."""
        serving = sum(node.serves for node in self.nodes)
        if serving < len(units):
            yield f"{serving} units serve, there are {len(units)}"
        if not self.database.find("users", name="admin"):
            yield "there is no administrator"

    def usual(self, units: Sequence[str]) -> Iterator[str]:
        """Yield what operators do every now and then."""
        leader = f"{units[0].partition('/')[0]}/leader"
        yield f"run {leader} rotate-admin-password"
        yield f"run {leader} rotate-keys"

    def rotations(self, units: Sequence[str]) -> Iterator[str]:
        """Yield how the password of the first service is replaced."""
        leader = f"{units[0].partition('/')[0]}/leader"
        if any(user["name"].startswith("svc-") for user in self.database.find("users")):
            yield f"run {leader} rotate-service-password relation-id=relation:identity-service"

    def accepts(self) -> Iterator[str]:
        """Yield the passwords of all users."""
        yield from (user["password"] for user in self.database.find("users"))

    def why_not_served(self, client: testing.Client) -> str:
        """Return why a service does not get in as its user, or is not where the catalogue says."""
        field = SECRETS.get(client.endpoint, "")
        name, password = (client.told.get(f"{field}.{key}", "") for key in ("username", "password"))
        if not any(node.serves for node in self.nodes):
            return "no process answers"
        if not any(node.log_in(name, password) for node in self.nodes):
            return f"nobody lets its user {name!r} in"
        for endpoint in json.loads(client.asks.get("service-endpoints", "[]")):
            services = {one["id"] for one in self.database.find("services", type=endpoint["type"])}
            places = self.database.find("endpoints", interface="public", url=endpoint["public_url"])
            if not any(one["service_id"] in services and one["enabled"] for one in places):
                return f"the catalogue does not have {endpoint['type']} at {endpoint['public_url']}"
        return ""

    def settings(self) -> Sequence[str]:
        """Return what restarts the processes, and what changes how keys are rotated."""
        return ("token-lifetime=2h", "workers=3", "lockout-failures=5", "key-rotation=weekly")
