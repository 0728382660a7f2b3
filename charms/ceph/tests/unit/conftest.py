"""Machines in memory around a twin of Ceph, and the units of the charm on them."""

import sys
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(LIBRARY / "tests")]

import model  # noqa: E402  found on the path of the line above
from play import TRIAL, Model  # noqa: E402


@pytest.fixture
def deploy():
    """Return a function that deploys the charm."""

    def deploy(units=1, **options):
        return Model(units, TRIAL | {option.replace("_", "-"): value for option, value in options.items()})

    return deploy


# What many tests begin with is deployed once, and copied for each.


@cache
def _one():
    return Model(1, TRIAL)


@cache
def _three():
    model = Model(3, TRIAL | {"failure-domain": "host"})
    for number in range(3):
        model.add_osd(number)
    return model


@cache
def _full():
    model = _three().copy()
    model.fill()
    model.update_status()
    return model


@cache
def _four():
    model = _full().copy()
    model.add_unit()
    model.add_osd(3)
    return model


@pytest.fixture
def one():
    """One unit, with options for trials."""
    return _one().copy()


@pytest.fixture
def three():
    """Three units with a disk each, and copies on all three machines."""
    return _three().copy()


@pytest.fixture
def full():
    """Three units with a disk and data each."""
    return _full().copy()


@pytest.fixture
def four():
    """A fourth unit with a disk, so that one can be spared."""
    return _four().copy()


defaults = model.defaults(CHARM)
