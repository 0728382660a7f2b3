"""The units of Neutron on machines in memory, with what they need."""

import sys
from pathlib import Path

import pytest

CHARM = Path(__file__).parents[2]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(LIBRARY / "tests")]

import api_model  # noqa: E402  found on the path of the line above
import model  # noqa: E402
import twin  # noqa: E402

from charm import NeutronCharm  # noqa: E402


class Model(api_model.ApiModel):
    """The units of Neutron, with what they need."""

    charm, application, software = NeutronCharm, "neutron", twin.Neutron


class East(Model):
    """Those of a second application."""

    application = "neutron-east"

    @staticmethod
    def software(machine, done):
        return twin.Neutron(machine, done, "neutron-east")


deploy, one, three = model.fixtures(Model)


@pytest.fixture
def east():
    """The application under another name."""
    return East()
