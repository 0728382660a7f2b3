"""Machines in memory around a service of the tests' own, and the units of its charm on them."""

import json
import sys
from functools import cache
from pathlib import Path

import pytest
from ops import testing

HERE = Path(__file__).parent
CHARM = HERE.parents[3] / "tests/probes/notes"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(HERE.parent)]

import authority  # noqa: E402  found on the path of the line above
import model  # noqa: E402
import notes_machines as machines  # noqa: E402
from notes_machines import CERTIFICATES, DATABASE_SECRET, GATEWAY, IDENTITY_SECRET, RELATIONS  # noqa: E402

from charm import NotesCharm  # noqa: E402
from openinfra_charm.testing import Clock  # noqa: E402


class Model(model.Model):
    """The units of the service, with what they need."""

    charm, application, bindings = NotesCharm, "notes", ("internal",)

    def __init__(self, units=1, config=None):
        self.schema = []
        self.time = Clock()
        self.authority = authority.make("CA", self.time.now - authority.DAY)
        super().__init__(units, config, RELATIONS, [DATABASE_SECRET, IDENTITY_SECRET])

    def make_machine(self, number):
        return machines.make(number, self.time, self.schema, self.machines.values())

    def add_unit(self):
        machine = super().add_unit()
        self.update_status()
        return machine

    def known(self):
        return list(self.schema)

    def relate_gateway(self, *endpoints):
        data = {"endpoints": json.dumps(endpoints)}
        self.relate(testing.Relation("gateway", id=GATEWAY, remote_app_name="gateway", remote_app_data=data))

    def _keep(self, number, after, relations):
        super()._keep(number, after, relations)
        if CERTIFICATES in self.relations and self.sign(CERTIFICATES, self.authority, 3650):
            self.wake(CERTIFICATES)


@pytest.fixture
def deploy():
    """Return a function that deploys the charm."""
    return lambda units=1, **options: Model(units, options)


@cache
def _deployed(units):
    return Model(units)


@pytest.fixture
def one():
    return _deployed(1).copy()


@pytest.fixture
def three():
    return _deployed(3).copy()
