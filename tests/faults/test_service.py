"""An OpenStack API whose charm is a specification and nothing else (tests/probes/notes), deployed beside the bundle and broken."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from openinfra_model.devtools import pack
from tests.integration.clients import SECONDS
from tests.probes import ROOT, lay_out

from .api import BACK_SECONDS, GAP_SECONDS, credentials_of, kill_on_each_unit, rotate, used

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.clients import Writer

PROVIDERS = ("mysql:database", "keystone:identity-service", "certificates:certificates", "memcached:cache")
PROCESSES = ("notes-api.service", "notes-filer.service", "notes-front.service")


def archive(folder: Path, change: str = "") -> Path:
    """Pack the charm, with a line more in its configuration file where that is given."""
    site = lay_out(folder / "site")
    charm = site / "charms/notes"
    charm.unlink()
    shutil.copytree(ROOT / "tests/probes/notes", charm)
    template = charm / "src/templates/notes.conf.j2"
    template.write_text(template.read_text() + change)
    (packed,) = pack.pack(site, ["notes"])
    return packed.path


class Service:
    """The service as its users have it, with a token, where the catalogue says."""

    def __init__(self, clients) -> None:
        connection = clients.connect()
        self.url = connection.session.get_endpoint(service_type="notes", interface="public")
        self._token = {"X-Auth-Token": connection.authorize()}
        self._ca = clients.ca

    def ask(
        self, method: str = "GET", text: str = "", token: dict[str, str] | None = None
    ) -> requests.Response:
        headers = self._token if token is None else token
        return requests.request(
            method, self.url, data=text, headers=headers, verify=self._ca, timeout=SECONDS
        )

    def add(self, number: int) -> None:
        self.ask("POST", f"{number}").raise_for_status()

    def notes(self) -> dict[str, bool]:
        """Return which notes there are, and whether each is filed."""
        return {note["text"]: note["filed"] for note in self.ask().json()["notes"]}

    @contextmanager
    def in_use(self) -> Iterator[Writer]:
        """Have somebody write notes while the block runs; all that were acknowledged are kept."""
        with used(self.add) as writer:
            yield writer
        assert {f"{number}" for number in writer.acknowledged} <= self.notes().keys()


@pytest.fixture(scope="module")
def deployed(cloud, tmp_path_factory):
    """The application, on the machines of keystone."""
    machines = [cloud.machine_of(unit) for unit in cloud.units("keystone")]
    built = archive(tmp_path_factory.mktemp("notes"))
    cloud.juju.deploy(built, "notes", num_units=len(machines), to=machines, base="ubuntu@24.04")
    for provider in PROVIDERS:
        cloud.juju.integrate(f"notes:{provider.partition(':')[2]}", provider)
    cloud.juju.integrate("notes:gateway", "gateway:haproxy-route-tcp")
    cloud.settle()
    yield "notes"
    if "notes" in cloud.juju.status().apps:
        cloud.juju.remove_application("notes")
        cloud.juju.wait(lambda status: "notes" not in status.apps, timeout=300)
        cloud.settle()


@pytest.fixture
def service(deployed, clients) -> Service:
    return Service(clients)


def test_who_has_a_token_uses_it_at_the_gateway(cloud, service):
    assert service.url == f"https://{cloud.vip}:8900/v1"
    assert service.ask(token={}).status_code == requests.codes.unauthorized
    assert service.ask(token={"X-Auth-Token": "of nobody"}).status_code == requests.codes.unauthorized
    service.add(1000)
    limit = time.monotonic() + BACK_SECONDS
    while not service.notes()["1000"]:
        assert time.monotonic() < limit, "it is not filed"
        time.sleep(1)


def test_each_unit_says_whether_it_can_work(cloud, clients, service):
    for unit in cloud.units("notes"):
        answer = requests.get(
            f"https://{cloud.address(unit)}:18900/openinfra/health", verify=clients.ca, timeout=SECONDS
        )
        assert (answer.status_code, answer.text) == (requests.codes.ok, "healthy\n"), unit
        for kind in ("safe-to-stop", "after-start"):
            assert cloud.shell(unit, f"/usr/lib/openinfra/{kind}.d/notes") == "", unit


@pytest.mark.parametrize("process", PROCESSES)
def test_a_killed_process_comes_back_by_itself(cloud, service, process):
    with service.in_use() as writer:
        kill_on_each_unit(cloud, "notes", process, writer)
    assert writer.longest_gap < GAP_SECONDS
    cloud.settle()


def test_a_paused_unit_is_not_missed(cloud, service):
    unit = cloud.units("notes")[0]
    with service.in_use() as writer:
        cloud.run(unit, "pause")
        writer.wait_for(10, BACK_SECONDS)
        assert all(
            cloud.shell(unit, f"systemctl is-active {one}", check=False) == "inactive\n" for one in PROCESSES
        )
        cloud.run(unit, "resume")
    assert writer.longest_gap < GAP_SECONDS
    cloud.settle()


def test_passwords_are_replaced_while_it_is_used(cloud, service):
    database, identity = credentials_of(cloud, "notes")
    with service.in_use():
        rotate(cloud, database, identity)
        limit = time.monotonic() + 180
        while len(users := cloud.run("keystone/0", "list-services")[identity]["users"]) > 1:
            assert time.monotonic() < limit, users
            time.sleep(3)
    for unit in cloud.units("notes"):
        assert users[-1] in cloud.shell(unit, "cat /etc/notes/notes.conf"), unit


def test_a_refresh_restarts_one_unit_after_the_other(cloud, service, tmp_path):
    before = {unit: cloud.invocations(unit, *PROCESSES) for unit in cloud.units("notes")}
    with service.in_use() as writer:
        cloud.juju.refresh("notes", path=archive(tmp_path, "# of another revision\n"))
        cloud.settle()
    assert writer.longest_gap < GAP_SECONDS
    for unit, ran in before.items():
        assert cloud.shell(unit, "tail -n 1 /etc/notes/notes.conf") == "# of another revision\n", unit
        now = cloud.invocations(unit, *PROCESSES)
        assert {name for name in now if now[name] != ran[name]} == set(PROCESSES[:2]), unit


def test_an_operators_lines_are_taken_or_refused(cloud, service):
    cloud.juju.config("notes", {"extra-config": "[database]\nconnection = sqlite://"})
    cloud.juju.wait(lambda s: all(unit.is_blocked for unit in s.get_units("notes").values()), timeout=120)
    message = cloud.juju.status().get_units("notes")[cloud.leader("notes")].workload_status.message
    assert "[database] connection it sets itself" in message
    service.add(2000)
    cloud.juju.config("notes", {"extra-config": "[oslo_middleware]\nmax_request_body_size = 1000"})
    cloud.settle()
    assert json.dumps("2000") in service.ask().text


def test_nothing_of_it_is_left(cloud, clients, service):
    units = {unit: cloud.instance(unit) for unit in cloud.units("notes")}
    cloud.juju.remove_application("notes")
    cloud.juju.wait(lambda status: "notes" not in status.apps, timeout=300)
    cloud.settle()
    assert "notes" not in {one.type for one in clients.connect().identity.services()}
    for unit in units:
        found = cloud.shell(
            unit, "ls -d /etc/notes /var/lib/notes /opt/notes /usr/lib/openinfra/notes", check=False
        )
        assert found == "", unit
        assert cloud.shell(unit, "systemctl list-units --all --plain --no-legend 'notes-*'") == "", unit
