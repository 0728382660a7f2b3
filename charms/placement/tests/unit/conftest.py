"""The units of Placement on machines in memory, with what they need."""

import sys
from functools import cache
from pathlib import Path

import pytest

CHARM = Path(__file__).parents[2]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(LIBRARY / "tests")]

import api_model  # noqa: E402  found on the path of the line above
import twin  # noqa: E402

from charm import PlacementCharm  # noqa: E402


class Model(api_model.ApiModel):
    """The units of Placement, with what they need."""

    charm, application, software = PlacementCharm, "placement", twin.Placement


class East(Model):
    """Those of a second application."""

    application = "placement-east"

    @staticmethod
    def software(machine, done):
        return twin.Placement(machine, done, "placement-east")


@pytest.fixture
def deploy():
    """Return a function that deploys the charm."""
    return lambda units=1, **options: Model(units, options)


@pytest.fixture
def east():
    """The application under another name."""
    return East()


@cache
def _deployed(units):
    return Model(units)


@pytest.fixture
def one():
    return _deployed(1).copy()


@pytest.fixture
def three():
    return _deployed(3).copy()
