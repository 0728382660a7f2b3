"""Machines in memory around a twin of MariaDB, and the units of the charm on them."""

import dataclasses
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import ops
import ops.hookcmds
import pytest
import yaml
from ops import testing

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
LIBRARY_TESTS = CHARM.parents[1] / "lib/openinfra_charm/tests"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(LIBRARY_TESTS)]

import authority  # noqa: E402  found on the path of the line above
import machines  # noqa: E402
import model  # noqa: E402
import twin  # noqa: E402
from machines import CERTIFICATES, GATEWAY  # noqa: E402
from model import PEERS  # noqa: E402

from charm import MySqlCharm  # noqa: E402
from openinfra_charm.daemon import job  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402

JOB_SECONDS = 3600
"""Longer than any job takes."""


class Model(model.Model):
    """The units of one cluster; what they ask a CA for is signed at once."""

    charm, application, bindings = MySqlCharm, "mysql", ("database", "cluster")

    def __init__(self, units=1, config=None):
        self.galera = twin.Galera()
        self.authority: Any = None
        self.leaving = set()
        super().__init__(units, config)

    def make_machine(self, number):
        return machines.MySqlMachine(self.galera, number)

    def known(self):
        stores = {name: vars(server.load()) for name, server in self.galera.servers.items()}
        return stores, self.galera.primaries()

    def remove_unit(self, number):
        """Remove a unit that lives; as long as its hooks fail it is on its way out."""
        self.leaving.add(number)
        super().remove_unit(number)

    def _relations(self, number):
        relations = super()._relations(number)
        if number in self.leaving:
            # A unit that leaves has departed from its peers one by one before it stops.
            relations[PEERS] = dataclasses.replace(relations[PEERS], peers_data={})
        return relations

    def _patch(self, patched, number):
        super()._patch(patched, number)
        patched.setattr(ops.hookcmds, "relation_get", self._relation_get)

    def _goal_state(self):
        goal = super()._goal_state()
        units = {
            f"mysql/{number}": dataclasses.replace(
                goal.units[f"mysql/{number}"], status="dying" if number in self.leaving else "active"
            )
            for number in self.unit_data
        }
        return dataclasses.replace(goal, units=units)

    def _relation_get(self, _relation, *, unit):
        return dict(self.unit_data.get(int(unit.partition("/")[2]), {}))

    def relate_certificates(self):
        """Relate a CA, which signs what is asked for at once."""
        now = next(iter(self.machines.values())).now()
        self.authority = authority.make("CA", now - authority.DAY)
        self.relate(testing.Relation("certificates", id=CERTIFICATES, remote_app_name="certificates"))

    def relate_gateway(self, endpoints=()):
        """Relate the gateway, which serves the route at these endpoints."""
        data = {"endpoints": json.dumps(list(endpoints))}
        self.relate(testing.Relation("gateway", id=GATEWAY, remote_app_name="gateway", remote_app_data=data))

    def _play(self, number, event, **options):
        super()._play(number, event, **options)
        machine = self.machines[number]
        for application, job_id in machine.jobs():
            with use(machine), machine.waiting(JOB_SECONDS):
                job.main(application, job_id)
            machine.job_ended(application, job_id)

    def _keep(self, number, after, relations):
        super()._keep(number, after, relations)
        if CERTIFICATES in self.relations and self.sign(CERTIFICATES, self.authority):
            self.wake(CERTIFICATES)


@pytest.fixture
def deploy():
    """Return a function that deploys the charm."""

    def deploy(units=1, **options):
        return Model(units, options)

    return deploy


# What many tests begin with is deployed once, and copied for each.


@cache
def _one():
    return Model(1, {})


@cache
def _three():
    return Model(3, {})


@pytest.fixture
def one():
    """One unit."""
    return _one().copy()


@pytest.fixture
def three():
    """A cluster of three."""
    return _three().copy()


@pytest.fixture(scope="session")
def defaults():
    """The options as Juju gives them to a charm that nobody has configured."""
    options = yaml.safe_load((CHARM / "charmcraft.yaml").read_text())["config"]["options"]
    return {name: option["default"] for name, option in options.items()}
