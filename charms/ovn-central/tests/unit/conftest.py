"""Machines in memory around a twin of OVN's databases, and the units of the charm on them."""

import dataclasses
import sys
from functools import cache
from pathlib import Path

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
from machines import CERTIFICATES, CHASSIS, CMS  # noqa: E402

from charm import OvnCentralCharm  # noqa: E402
from openinfra_charm.daemon import job  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402
from openinfra_charm.testing import Clock  # noqa: E402

JOB_SECONDS = 3600
"""Longer than any job takes."""


class Model(model.Model):
    """The units of one application, related to a chassis and a cloud management system; a CA signs what they ask for at once."""

    charm, application, bindings = OvnCentralCharm, "ovn-central", ("cluster", "ovsdb", "ovsdb-cms")

    def __init__(self, units=1, config=None):
        self.ovn = twin.Ovn()
        self.authority = authority.make("CA", Clock().now - authority.DAY)
        self.leaving = set()
        relations = [
            testing.Relation("certificates", id=CERTIFICATES, remote_app_name="certificates"),
            testing.Relation("ovsdb", id=CHASSIS, remote_app_name="ovn-chassis"),
            testing.Relation("ovsdb-cms", id=CMS, remote_app_name="neutron"),
        ]
        super().__init__(units, config, relations)

    def make_machine(self, number):
        return machines.OvnMachine(self.ovn, number)

    def known(self):
        return {
            key: {one.machine.name: str(one.store) for one in self.ovn.servers if one.key == key}
            for key in twin.KEYS
        }

    def remove_unit(self, number):
        """Remove a unit that lives; as long as its hooks fail it is on its way out."""
        self.leaving.add(number)
        super().remove_unit(number)

    def _goal_state(self):
        goal = super()._goal_state()
        units = {
            name: dataclasses.replace(
                unit, status="dying" if model_number(name) in self.leaving else "active"
            )
            for name, unit in goal.units.items()
        }
        return dataclasses.replace(goal, units=units)

    def _play(self, number, event, **options):
        super()._play(number, event, **options)
        machine = self.machines[number]
        for application, job_id in machine.jobs():
            with use(machine), machine.waiting(JOB_SECONDS):
                job.main(application, job_id)
            machine.job_ended(application, job_id)

    def _keep(self, number, after, relations):
        super()._keep(number, after, relations)
        if CERTIFICATES in relations and self.sign(CERTIFICATES, self.authority):
            self.wake(CERTIFICATES)

    # What tests look at

    def members(self, key="nb"):
        """Return the machines whose servers are in the cluster of a database, one set for each cluster that has a quorum."""
        return [
            {one.machine.name for one in self.ovn.present(cluster)}
            for cluster in self.ovn.clusters(key)
            if self.ovn.has_quorum(cluster)
        ]

    def power_off(self, *numbers):
        for number in numbers:
            self.machines[number].power_off()
            self.held.add(number)

    def power_on(self, *numbers):
        for number in numbers:
            self.machines[number].power_on()
            self.held.discard(number)

    @property
    def told(self):
        """What each unit tells the chassis, and the cloud management system."""
        return {
            number: (self.local.get((CHASSIS, number), {}), self.local.get((CMS, number), {}))
            for number in self.unit_data
        }


def model_number(unit):
    return int(unit.rpartition("/")[2])


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
    """Clusters of three."""
    return _three().copy()


@pytest.fixture(scope="session")
def defaults():
    """The options as Juju gives them to a charm that nobody has configured."""
    options = yaml.safe_load((CHARM / "charmcraft.yaml").read_text())["config"]["options"]
    return {name: option["default"] for name, option in options.items()}
