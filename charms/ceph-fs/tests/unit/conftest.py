"""What the tests of this charm begin with."""

import sys
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE)]

import programs  # noqa: E402  found on the path of the line above
from play import CEPH, MdsMachine, Model  # noqa: E402

from openinfra_charm.machine import use  # noqa: E402


@pytest.fixture(autouse=True)
def machine():
    """A machine for every test, so that none can ever change the one that it runs on."""
    with use(MdsMachine(programs.Filesystem(), 0)) as machine:
        yield machine


@pytest.fixture(scope="session")
def defaults():
    """The options as Juju gives them to a charm that nobody has configured."""
    options = yaml.safe_load((CHARM / "charmcraft.yaml").read_text())["config"]["options"]
    return {name: option["default"] for name, option in options.items()}


@pytest.fixture
def deploy():
    """Return a function that deploys the charm on so many machines."""

    def deploy(units=1, **options):
        relations = options.pop("relations", (CEPH,))
        changed = {name.replace("_", "-"): value for name, value in options.items()}
        return Model(units, changed, relations=relations)

    return deploy
