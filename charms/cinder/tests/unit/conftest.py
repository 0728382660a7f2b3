"""The units of Cinder on machines in memory, with what they need."""

import sys
from pathlib import Path

import pytest

CHARM = Path(__file__).parents[2]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
sys.path[:0] = [
    str(CHARM / "src"),
    str(CHARM / "tests/twins"),
    str(CHARM / "tests/unit"),
    str(LIBRARY / "tests"),
]

import model  # noqa: E402  found on the path of the line above
from play import East, Model  # noqa: E402

deploy, one, three = model.fixtures(Model)


@pytest.fixture
def east():
    """The application under another name."""
    return East()
