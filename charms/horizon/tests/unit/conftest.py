"""The units of Horizon on machines in memory, with what they need."""

import dataclasses
import sys
from pathlib import Path

import pytest
from ops import testing

CHARM = Path(__file__).parents[2]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(LIBRARY / "tests")]

import api_model  # noqa: E402  found on the path of the line above
import model  # noqa: E402
import twin  # noqa: E402

from charm import HorizonCharm  # noqa: E402


class Model(api_model.ApiModel):
    """The units of Horizon, with what they need."""

    charm, application, software = HorizonCharm, "horizon", twin.Horizon
    theme = Path("/dev/null")
    """The resource: an empty file where nobody has attached one."""

    def attach(self, path):
        """Attach another theme; Juju runs the hook upgrade-charm of each unit."""
        self.theme = path
        self.every(self.on.upgrade_charm())
        self.update_status()

    def _state(self, number, relations, secrets):
        state = super()._state(number, relations, secrets)
        return dataclasses.replace(state, resources={testing.Resource(name="theme", path=self.theme)})


class East(Model):
    """Those of a second application."""

    application = "horizon-east"

    @staticmethod
    def software(machine, done):
        return twin.Horizon(machine, done, "horizon-east")


deploy, one, three = model.fixtures(Model)


@pytest.fixture
def east():
    """The application under another name."""
    return East()
