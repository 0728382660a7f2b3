"""The units of Glance on machines in memory, with what they need."""

import sys
from pathlib import Path

import pytest

CHARM = Path(__file__).parents[2]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(LIBRARY / "tests")]

import api_model  # noqa: E402  found on the path of the line above
import model  # noqa: E402
import twin  # noqa: E402

import trust  # noqa: E402
from charm import GlanceCharm  # noqa: E402


class Model(api_model.ApiModel):
    """The units of Glance, with what they need."""

    charm, application, software = GlanceCharm, "glance", twin.Glance

    def make_machine(self, number):
        machine = super().make_machine(number)
        machine.have(trust.SYSTEM, "CAs of the system\n")
        return machine


class Waiting(Model):
    """Those to which Ceph has not given anything yet."""

    stores = False


class Second(Model):
    """Those of a second application."""

    application = "glance-east"

    @staticmethod
    def software(machine, done):
        return twin.Glance(machine, done, "glance-east")


deploy, one, three = model.fixtures(Model)
defaults = model.defaults(CHARM)


@pytest.fixture
def waiting():
    """A unit that waits for Ceph."""
    return Waiting()


@pytest.fixture
def east():
    """The application under another name."""
    return Second()
