"""Seeded faults: the same seed plays the same faults in the same order, for as many minutes as are given."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.faults.conftest import overlays
from tests.integration.conftest import clients, cloud, controller, juju, site
from tests.integration.conftest import pytest_addoption as add_site_options

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["clients", "cloud", "controller", "juju", "overlays", "site"]


def pytest_addoption(parser):
    add_site_options(parser)
    parser.addoption("--seed", type=int, default=1, help="decides which faults come, and when")
    parser.addoption("--minutes", type=float, default=60, help="how long each test goes on")


@pytest.fixture
def chance(request) -> random.Random:
    return random.Random(request.config.getoption("--seed"))


@pytest.fixture
def seconds(request) -> float:
    return request.config.getoption("--minutes") * 60


@pytest.fixture
def tell(request) -> Callable[[str], None]:
    """Tell what was played, on the terminal, while the test goes on."""
    return request.config.pluginmanager.get_plugin("terminalreporter").write_line


@pytest.fixture(scope="module")
def program(request) -> str:
    """The juju program."""
    return request.config.getoption("--juju")
