"""What the tests of this charm begin with."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(LIBRARY / "tests")]

import model  # noqa: E402  found on the path of the line above
import programs  # noqa: E402
from play import MdsMachine, Model  # noqa: E402

from openinfra_charm.machine import use  # noqa: E402


@pytest.fixture(autouse=True)
def machine():
    """A machine for every test, so that none can ever change the one that it runs on."""
    with use(MdsMachine(programs.Filesystem(), 0)) as machine:
        yield machine


defaults = model.defaults(CHARM)


@pytest.fixture
def deploy():
    """Return a function that deploys the charm on so many machines."""

    def deploy(units=1, **options):
        has_ceph = options.pop("has_ceph", True)
        return Model(units, options, has_ceph=has_ceph)

    return deploy
