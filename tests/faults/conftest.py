"""The bundle deployed once, for all tests of this folder, to be broken on purpose; options as in tests/integration."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.clients import Clients, Users, writing
from tests.integration.conftest import (
    OVERLAYS,
    administrator,
    cloud,
    controller,
    flavor,
    guest_image,
    juju,
    network,
    people,
    provider_network,
    pytest_addoption,
    site,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "administrator", "cloud", "controller", "flavor", "guest_image", "juju", "network", "people", "provider_network", "pytest_addoption", "site",
]  # fmt: skip

BACK_SECONDS = 60
LAST = ("test_removal", "test_ceph_keys", "test_ceph_upgrade")
"""What comes after all others: it takes applications away; and one with a model of its own, when this one needs little."""


@pytest.fixture(scope="session")
def overlays() -> tuple[str, ...]:
    """Three of everything: one of them is always broken."""
    return (*OVERLAYS, "ha.yaml")


@pytest.fixture(scope="module")
def clients(cloud, tmp_path_factory) -> Clients:
    """What a user of the cloud has on this host, asked for anew by each module: some replace passwords."""
    return Clients(cloud, tmp_path_factory.mktemp("clients"))


@pytest.fixture
def users(cloud, clients) -> Users:
    """People at work, one for each service."""
    return Users(clients, cloud)


@pytest.fixture(scope="session")
def pool(cloud) -> str:
    """A pool for objects of tests."""
    cloud.run("ceph/0", "create-pool", name="probe", app_name="test")
    return "probe"


@pytest.fixture
def kill(cloud, users) -> Callable[[str, str], None]:
    """Return a function that kills a service of each unit of an application, one after another, while people work.

    No client is without a service for long, and nothing waits for an operator.
    """

    def kill(application: str, service: str) -> None:
        with writing(*users.all()):
            for unit in cloud.units(application):
                cloud.shell(unit, f"systemctl kill --signal=KILL {service}")
                for writer in users.all():
                    writer.wait_for(3, BACK_SECONDS)
                cloud.wait_for_database()
        cloud.settle()
        users.verify()

    return kill


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have those of `LAST` run in their order, after all others."""
    items.sort(key=lambda item: LAST.index(item.path.stem) + 1 if item.path.stem in LAST else 0)


def pytest_terminal_summary(terminalreporter) -> None:
    """Show how long the tests of each charm took, what they needed first included."""
    minutes: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                minutes[Path(report.fspath).stem.removeprefix("test_")] += report.duration / 60
    terminalreporter.section("minutes")
    for name, taken in minutes.items():
        terminalreporter.line(f"{name.replace('_', '-'):<20}{taken:6.1f}")
