"""Which database a client gets: one of its own, also where another application asks for one of the same name."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from openinfra_charm.interfaces import mysql_client
from openinfra_charm.model import databag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ops

    from openinfra_charm.interfaces.mysql_client import Request

LONGEST = 64
"""The longest name of a database (MariaDB: identifier names)."""


def read_request(relation: ops.Relation, us: ops.Application, owners: Mapping[str, str]) -> Request | None:
    """Return what a client asks for, with the name of the database that it gets; None before it has asked.

    Args:
        relation: The client's.
        us: This application, whose answers are read: the leader's to do.
        owners: The applications to which databases were given, by the databases' names.
    """
    request = mysql_client.read_request(relation)
    if request is None:
        return None
    answer = relation.data[us]
    # One that has an answer keeps what it has, also where two were given the same one by an earlier version.
    if databag.load(answer.get("data", ""), dict).get("database") == request.database:
        return dataclasses.replace(request, database=answer.get("database", request.database))
    return dataclasses.replace(request, database=choose(request.database, request.application, owners))


def choose(asked: str, application: str, owners: Mapping[str, str]) -> str:
    """Return the name that an application is given which asks for this one."""
    own = f"{asked[: LONGEST // 2]}_{application}"[: LONGEST - 4]
    names = itertools.chain((asked, own), (f"{own}_{number}" for number in itertools.count(2)))
    return next(name for name in names if owners.get(name, application) == application)


def owned(
    relations: Iterable[ops.Relation], us: ops.Application, recorded: Mapping[str, str]
) -> dict[str, str]:
    """Return to which application each database was given: by the record, or by an answer from before there was one."""
    answered = {
        name: one.app.name for one in reversed([*relations]) if (name := one.data[us].get("database"))
    }
    return {**answered, **recorded}
