"""Whose pools are whose, and what clients of block devices may do with them.

A pool is the application's that has asked for it first; that is on record in the cluster, and goes with the pool. Others use or read it
where the operator has said so (option `shared-pools`). Nobody gets more than the rights of a client of block devices to pools by name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from broker import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from admin import Admin
    from openinfra_charm.interfaces.ceph_client import Request

CREATE, PERMISSIONS = "create-pool", ("set-key-permissions", "add-permissions-to-key")
ALL, READ = "profile rbd", "profile rbd-read-only"
_MON = 'profile rbd, allow command "osd blocklist"'
_PREFIX = "openinfra/pools/"
_CLAUSE = re.compile(r"(profile rbd(?:-read-only)?) pool=([\w.-]+)")
_USUAL = {
    "mon": re.compile(r'profile rbd(-read-only)?|allow r|allow command "osd blocklist"'),
    "osd": _CLAUSE,
    "mgr": re.compile(r"profile rbd(-read-only)?( pool=[\w.-]+)?"),
}
"""What a client may be granted, clause by clause, by the daemons that it is for."""


class Owners:
    """To which application each pool was given first."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._known: dict[str, str] | None = None

    def of(self, pool: str) -> str:
        """Return a pool's application; empty where none has asked for it.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        if self._known is None:
            stored: dict[str, str] = self._admin.command("config-key dump", key=_PREFIX) or {}
            self._known = {key.removeprefix(_PREFIX): owner for key, owner in stored.items()}
        return self._known.get(pool, "")

    def claim(self, pool: str, application: str) -> None:
        """Record to which application a pool is given.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        if self.of(pool) != application:
            self._admin.command("config-key set", key=f"{_PREFIX}{pool}", val=application)
            self._known = None

    def forget(self, pool: str) -> None:
        """Take a pool that is gone off the record.

        Raises:
            UnreachableError: The monitors do not answer.
        """
        self._admin.command("config-key rm", key=f"{_PREFIX}{pool}")
        self._known = None


class Rights:
    """What one application may do with the pools.

    Args:
        application: The application.
        owners: Whose they are.
        shared: Which of others' pools the operator lets it use.
    """

    def __init__(self, application: str, owners: Owners, shared: Iterable[str]) -> None:
        self.application = application
        self._owners = owners
        self._shared = frozenset(shared)

    def owns(self, pool: str) -> bool:
        """Return whether a pool is the application's own."""
        return self._owners.of(pool) == self.application

    def check(self, pool: str) -> None:
        """See that the application may use a pool.

        Raises:
            RefusedError: It may not.
        """
        if pool in self._shared or self.owns(pool):
            return
        owner = self._owners.of(pool)
        whose = f"{owner}'s" if owner else "not its own"
        raise RefusedError(
            f"{self.application} asks for the pool {pool}, which is {whose}: if it may use it, add "
            f"{self.application}:{pool} to the option shared-pools"
        )

    def granted(self, requests: Iterable[Request]) -> tuple[list[str], dict[str, str]]:
        """Return what the application's user may do of what its units ask for, and why not more, by unit.

        One that asks for nothing in particular gets all that it may have.
        """
        pools: dict[str, str] = {}
        refused: dict[str, str] = {}
        asks = False
        for request in requests:
            for operation in request.operations:
                asks = asks or operation.get("op") in PERMISSIONS
                for pool, profile in _named(operation).items():
                    try:
                        self.check(pool)
                    except RefusedError as error:
                        refused[request.unit] = str(error)
                        continue
                    pools[pool] = ALL if ALL in {profile, pools.get(pool)} else profile
        if asks:
            return _caps({pool: profile for pool, profile in pools.items() if profile}), refused
        return _caps(dict.fromkeys([*pools, *self._shared], ALL)), refused


def check_permissions(operation: Mapping[str, Any]) -> None:
    """See that a client asks for no more than one of block devices may have.

    Raises:
        RefusedError: It does.
    """
    if len(operation["permissions"]) % 2:
        raise RefusedError("permissions: expected pairs, a daemon and what is allowed there")
    for daemon, clauses in _clauses(operation):
        usual = _USUAL.get(daemon)
        for clause in clauses:
            if usual is None or not usual.fullmatch(clause):
                raise RefusedError(
                    f"permissions={daemon} {clause!r}: expected those of a client of block devices, osd 'profile rbd pool=NAME'"
                )


def _named(operation: Mapping[str, Any]) -> dict[str, str]:
    """Return the pools that an operation names, and what is to be done with each; nothing of what cannot be read."""
    if operation.get("op") == CREATE and operation.get("name"):
        return {str(operation["name"]): ""}
    if operation.get("op") not in PERMISSIONS or not isinstance(operation.get("permissions"), list):
        return {}
    found = [
        match
        for daemon, clauses in _clauses(operation)
        if daemon == "osd"
        for clause in clauses
        if (match := _CLAUSE.fullmatch(clause))
    ]
    return {
        match[2]: ALL if any(other[1] == ALL and other[2] == match[2] for other in found) else READ
        for match in found
    }


def _clauses(operation: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    words = [str(word) for word in operation["permissions"]]
    return [
        (daemon, [clause.strip() for clause in caps.split(",")])
        for daemon, caps in zip(words[::2], words[1::2], strict=False)
    ]


def _caps(pools: Mapping[str, str]) -> list[str]:
    """Return the rights as Ceph takes them; a user without a pool may do no more than look for the cluster."""
    osd = [f"{profile} pool={pool}" for pool, profile in sorted(pools.items())]
    mgr = [f"{profile} pool={pool}" for pool, profile in sorted(pools.items()) if profile == ALL]
    caps = {"mon": _MON, "osd": ", ".join(osd), "mgr": ", ".join(mgr)}
    return [word for pair in caps.items() if pair[1] for word in pair]
