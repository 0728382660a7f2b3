"""Machines in memory around a twin of Keystone, and the units of the charm on them."""

import json
import sys
from pathlib import Path

import pytest
from ops import testing

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(LIBRARY / "tests")]

import authority  # noqa: E402  found on the path of the line above
import model  # noqa: E402
import twin  # noqa: E402
from machines import CERTIFICATES, DATABASE_SECRET, GATEWAY, RELATIONS, KeystoneMachine  # noqa: E402

from charm import KeystoneCharm  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402
from openinfra_charm.testing import Clock, MemoryMachine  # noqa: E402

YEARS = 3650
KEYS_SECRET = "secret:k00000000000000000k0"


class Model(model.Model):
    """The units of one application, with what they need; what they ask a CA for is signed at once."""

    charm, application, bindings = KeystoneCharm, "keystone", ("internal",)

    def __init__(self, units=1, config=None, secrets=()):
        self.database = twin.Database()
        self.issued = []
        self.time = Clock()
        self.authority = authority.make("CA", self.time.now - authority.DAY)
        super().__init__(units, config, RELATIONS, [DATABASE_SECRET, *secrets])

    def make_machine(self, number):
        new = KeystoneMachine(number, self.database, self.issued, self.time)
        new.keystone.listen(new.address, [machine.keystone for machine in self.machines.values()])
        return new

    def add_unit(self):
        machine = super().add_unit()
        self.update_status()
        return machine

    def known(self):
        return vars(self.database)

    def relate_client(self, endpoint, app="glance", **data):
        """Relate a client; return the relation's id."""
        other = {key.replace("_", "-"): value for key, value in data.items()}
        relation = testing.Relation(endpoint, remote_app_name=app, remote_app_data=other)
        self.relate(relation)
        return relation.id

    def relate_gateway(self, *endpoints):
        """Relate the gateway, which serves the route at these endpoints."""
        data = {"endpoints": json.dumps(endpoints)}
        self.relate(testing.Relation("gateway", id=GATEWAY, remote_app_name="gateway", remote_app_data=data))

    def _keep(self, number, after, relations):
        super()._keep(number, after, relations)
        if CERTIFICATES in self.relations and self.sign(CERTIFICATES, self.authority, YEARS):
            self.wake(CERTIFICATES)

    def secret(self, label):
        """Return the newest content of a secret of the application's."""
        return next(secret.latest_content for secret in self.secrets if secret.label == label)

    def answer(self, relation):
        """Return what a client is told."""
        return self.local[relation, "app"]


@pytest.fixture(autouse=True)
def machine():
    """A machine for every test, so that none can ever change the one that it runs on."""
    with use(MemoryMachine()) as machine:
        yield machine


defaults = model.defaults(CHARM)


deploy, one, three = model.fixtures(Model)


@pytest.fixture
def deploy_with_keys():
    """Return a function that deploys the charm with a secret of the operator's, which is not granted if it is None."""

    def deploy(content):
        secret = testing.Secret(content, id=KEYS_SECRET) if content else None
        return Model(1, {"keys_secret": KEYS_SECRET}, [secret] if secret else [])

    return deploy
