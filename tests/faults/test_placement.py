"""Placement's processes die, its passwords are replaced, and it goes and comes again, while clients use it."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from tests.integration.clients import SECONDS
from tests.integration.conftest import ROOT
from tests.integration.removal import LEFT

from .api import GAP_SECONDS, credentials_of, kill_on_each_unit, rotate, used

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.clients import Writer

PROCESSES = ("placement-api.service", "placement-front.service")
RELATIONS = {
    "database": "mysql:database",
    "identity-service": "keystone:identity-service",
    "certificates": "certificates:certificates",
    "gateway": "gateway:haproxy-route-tcp",
}
RETIRED_SECONDS = 180


class Placement:
    """Placement as its clients have it: with a token, where the catalogue says."""

    def __init__(self, clients) -> None:
        connection = clients.connect()
        self.url = connection.session.get_endpoint(service_type="placement", interface="public")
        self._token = {"X-Auth-Token": connection.authorize()}
        self._ca = clients.ca
        self._run = uuid.uuid4().hex

    def ask(self, method: str, path: str, *, body: dict | None = None, token: str = "") -> requests.Response:
        headers = {"X-Auth-Token": token} if token else self._token
        return requests.request(
            method, f"{self.url}{path}", json=body, headers=headers, verify=self._ca, timeout=SECONDS
        )

    def add(self, number: int) -> None:
        """Make a resource provider; one that is there was made by a try whose answer was lost."""
        answer = self.ask("POST", "/resource_providers", body={"name": f"{self._run}-{number}"})
        if answer.status_code != requests.codes.conflict:
            answer.raise_for_status()

    def providers(self) -> dict[str, str]:
        """Return the resource providers that were made here: the name of each, and its uuid."""
        listed = self.ask("GET", "/resource_providers").json()["resource_providers"]
        return {one["name"]: one["uuid"] for one in listed if one["name"].startswith(self._run)}

    @contextmanager
    def in_use(self) -> Iterator[Writer]:
        """Have somebody make resource providers while the block runs; all that were acknowledged are kept."""
        with used(self.add) as writer:
            yield writer
        kept = self.providers()
        assert {f"{self._run}-{number}" for number in writer.acknowledged} <= kept.keys()
        for identifier in kept.values():
            self.ask("DELETE", f"/resource_providers/{identifier}").raise_for_status()


@pytest.fixture
def placement(cloud, clients) -> Placement:
    return Placement(clients)


def test_who_has_a_token_uses_it_at_the_gateway(cloud, placement):
    assert placement.url == f"https://{cloud.vip}:8778"
    assert placement.ask("GET", "/resource_providers", token="of nobody").status_code == 401
    assert placement.ask("GET", "/resource_providers").json().keys() == {"resource_providers"}


@pytest.mark.parametrize("process", PROCESSES)
def test_a_killed_process_comes_back_by_itself(cloud, placement, process):
    with placement.in_use() as writer:
        kill_on_each_unit(cloud, "placement", process, writer)
    assert writer.longest_gap < GAP_SECONDS
    cloud.settle()


def test_passwords_are_replaced_twice_while_it_is_used(cloud, placement):
    database, identity = credentials_of(cloud, "placement")
    users: list[str] = []
    with placement.in_use() as writer:
        for _ in range(2):
            rotate(cloud, database, identity)
            limit = time.monotonic() + RETIRED_SECONDS
            while len(users := cloud.run("keystone/0", "list-services")[identity]["users"]) > 1 or (
                len(cloud.run("mysql/0", "cluster-status")["relations"][database]["users"]) > 1
            ):
                assert time.monotonic() < limit, users
                time.sleep(3)
    assert writer.longest_gap < GAP_SECONDS
    for unit in cloud.units("placement"):
        assert users[-1] in cloud.shell(unit, "cat /etc/placement/placement.conf"), unit


def test_it_goes_and_comes_again_beside_the_others(cloud, clients):
    machines = {unit: cloud.machine_of(unit) for unit in cloud.units("placement")}
    options = {"workers": cloud.juju.config("placement")["workers"]}
    neighbours = {unit: cloud.beside(unit, "ceph") for unit in machines}
    cloud.juju.remove_application("placement")
    cloud.juju.wait(lambda status: "placement" not in status.apps, timeout=300)
    cloud.settle()
    assert "placement" not in {one.type for one in clients.connect().identity.services()}
    for beside in neighbours.values():
        assert cloud.shell(beside, f"ls -d {LEFT['placement']} 2>/dev/null", check=False) == "", beside

    archive = ROOT / "build/openinfra-placement.charm"
    cloud.juju.deploy(
        archive,
        "placement",
        num_units=len(machines),
        to=list(machines.values()),
        base="ubuntu@24.04",
        config=options,
    )
    for endpoint, provider in RELATIONS.items():
        cloud.juju.integrate(f"placement:{endpoint}", provider)
    cloud.settle()
    with Placement(clients).in_use():
        pass
