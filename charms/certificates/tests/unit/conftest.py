"""A machine and a unit of the charm for each test."""

import sys
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE)]

from sites import Site, request  # noqa: E402

import certificates  # noqa: E402  found on the path of the line above
from openinfra_charm.machine import use  # noqa: E402
from openinfra_charm.testing import Cryptography, MemoryMachine  # noqa: E402


@pytest.fixture(autouse=True)
def machine():
    """A machine for every test, so that none can ever change the one that it runs on."""
    machine = MemoryMachine()
    machine.bring(Cryptography(*certificates.LIBRARIES))
    with use(machine):
        yield machine


@pytest.fixture(scope="session")
def defaults():
    """The options as Juju gives them to a charm that nobody has configured."""
    options = yaml.safe_load((CHARM / "charmcraft.yaml").read_text())["config"]["options"]
    return {name: option["default"] for name, option in options.items() if "default" in option}


@pytest.fixture
def site(machine):
    """One unit that leads, with a requirer of two units."""
    site = Site(machine)
    site.requests = {f"mysql/{number}": request(f"db{number}.example", "db.example") for number in (0, 1)}
    site.run(site.on.install())
    return site
