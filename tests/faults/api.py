"""What the fault tests of OpenStack APIs share: clients that go on, processes that are killed, credentials that are replaced."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.integration.clients import Writer, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.site import Site

BACK_SECONDS = 60
GAP_SECONDS = 10
"""How long clients may be without an API while a unit goes."""


@contextmanager
def used(add: Callable[[int], None]) -> Iterator[Writer]:
    """Have somebody use an API while the block runs, and for some times more before and after it."""
    writer = Writer(add, pause=0.2)
    with writing(writer):
        writer.wait_for(3, BACK_SECONDS)
        yield writer
        writer.wait_for(3, BACK_SECONDS)


def kill_on_each_unit(cloud: Site, application: str, process: str, writer: Writer) -> None:
    """Kill a process on one unit after the other; each comes back by itself."""
    for unit in cloud.units(application):
        cloud.shell(unit, f"systemctl kill --signal=KILL {process}")
        writer.wait_for(3, BACK_SECONDS)
        cloud.shell(unit, f"timeout 60 sh -c 'until systemctl is-active --quiet {process}; do sleep 1; done'")


def credentials_of(cloud: Site, application: str) -> tuple[str, str]:
    """Return the numbers of an application's relations with its database and with Keystone, as these list them."""
    (database,) = _relations_of(application, cloud.run("mysql/0", "cluster-status")["relations"])
    (identity,) = _relations_of(application, cloud.run("keystone/0", "list-services"))
    return database, identity


def _relations_of(application: str, listed: dict[str, dict[str, str]]) -> list[str]:
    return [number for number, client in listed.items() if client["application"] == application]


def rotate(cloud: Site, database: str, identity: str) -> None:
    """Replace the passwords that an API has for its database and in Keystone."""
    cloud.run(cloud.leader("mysql"), "rotate-password", relation_id=int(database))
    cloud.run(cloud.leader("keystone"), "rotate-service-password", relation_id=int(identity))
    cloud.settle()
