"""Machines in memory with memcached's twin, and the units of the charm on them."""

import sys
from pathlib import Path

import pytest
from ops import testing

CHARM = Path(__file__).parents[2]
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins")]
sys.path.append(str(CHARM.parents[1] / "lib/openinfra_charm/tests"))

import authority  # noqa: E402  found on the path of the line above
import model  # noqa: E402
from programs import MemcachedSoftware  # noqa: E402

from charm import MemcachedCharm  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402
from openinfra_charm.testing import Clock, MemoryMachine  # noqa: E402

CACHE, CERTIFICATES = model.PEERS + 1, model.PEERS + 2
"""Ids of relations."""


class CacheMachine(MemoryMachine):
    """A machine with memcached's twin and one address."""

    def __init__(self, number=0):
        super().__init__(f"machine-{number}")
        self.address = f"10.0.0.{number + 10}"
        self.cache = MemcachedSoftware(self, self.address)
        self.bring(self.cache)


@pytest.fixture(autouse=True)
def machine():
    """A machine for every test, so that none can ever change the one that it runs on."""
    with use(CacheMachine()) as machine:
        yield machine


defaults = model.defaults(CHARM)


class Model(model.Model):
    """The caches of one application, related to a client."""

    charm, bindings = MemcachedCharm, ("cache",)

    def __init__(self, units=1, application="memcached"):
        self.application = application
        self.ca = authority.make("root", Clock().now)
        self.versions = {}
        super().__init__(units, relations=[testing.Relation("cache", id=CACHE)])

    def make_machine(self, number):
        return CacheMachine(number)

    @property
    def told(self):
        """What each unit tells the client."""
        return {number: self.local[CACHE, number] for number in self.unit_data}

    @property
    def asked(self):
        """What each unit tells the CA."""
        return {number: self.local[CERTIFICATES, number] for number in self.unit_data}

    def secure(self):
        """Relate a CA, whose answers `answer` brings."""
        self.relate(testing.Relation("certificates", id=CERTIFICATES, remote_app_name="ca"))

    def answer(self):
        """Have the CA sign what is asked for, and each unit see it."""
        self.sign(CERTIFICATES, self.ca)
        self.relate(self.relations[CERTIFICATES])

    def release(self):
        """Remove the relation to the CA."""
        self.unrelate(CERTIFICATES)

    def _keep(self, number, after, relations):
        super()._keep(number, after, relations)
        self.versions[number] = after.workload_version


@pytest.fixture
def deploy():
    """Return a function that deploys the charm on so many machines."""
    return Model
