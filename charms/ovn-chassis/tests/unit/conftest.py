"""Machines in memory with the twin of Open vSwitch, and the units of the charm on them."""

import sys
from pathlib import Path

import ops.hookcmds
import pytest
from ops import testing

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
LIBRARY_TESTS = CHARM.parents[1] / "lib/openinfra_charm/tests"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(LIBRARY_TESTS)]

import authority  # noqa: E402  found on the path of the line above
import model  # noqa: E402
from machines import CERTIFICATES, HOST, NOVA, OVSDB, ChassisMachine  # noqa: E402

from charm import OvnChassisCharm  # noqa: E402
from openinfra_charm.testing import Clock  # noqa: E402

SECRET = testing.Secret({"secret": "a-secret-of-nova"}, id="secret:n00000000000000000n0")


class Model(model.Model):
    """The chassis of one application, with OVN's databases and a CA, which signs what is asked for at once."""

    charm, application, bindings = OvnChassisCharm, "ovn-chassis", ("data",)

    def __init__(self, units=1, config=None, *, has_module=False):
        self.has_module = has_module
        self.authority = authority.make("CA", Clock().now - authority.DAY)
        relations = [
            testing.Relation("certificates", id=CERTIFICATES, remote_app_name="certificates"),
            testing.Relation(
                "ovsdb",
                id=OVSDB,
                remote_app_name="ovn-central",
                remote_units_data={0: {"bound-address": "10.0.0.5"}},
            ),
            testing.SubordinateRelation("juju-info", id=HOST, remote_app_name="ceph"),
        ]
        super().__init__(units, config, relations, [SECRET])

    def relate_nova(self):
        """Relate Nova, and let the time pass that the release tree takes."""
        told = {
            "metadata-url": "https://10.0.0.9:8775", "metadata-secret": SECRET.id,
            "console-url": "https://10.0.0.9:6080/vnc_lite.html", "region": "RegionOne",
        }  # fmt: skip
        self.relate(testing.Relation("nova-service", id=NOVA, remote_app_name="nova", remote_app_data=told))
        for _ in range(2):
            self.update_status()

    def make_machine(self, number):
        return ChassisMachine(number, has_module=self.has_module)

    def known(self):
        return {number: str(machine.chassis.database) for number, machine in self.machines.items()}

    def _goal_state(self):
        # A subordinate's goal state has no units, not even its own; ops.testing's relation of it has no list of units.
        return ops.hookcmds.GoalState(units={}, relations={})

    def _bound(self, number, address):
        bound = testing.BindAddress(address.addresses, interface_name="eth0")
        return super()._bound(number, bound)

    def _keep(self, number, after, relations):
        super()._keep(number, after, {one: relation for one, relation in relations.items() if one != HOST})
        if CERTIFICATES in relations and self.sign(CERTIFICATES, self.authority):
            self.wake(CERTIFICATES)

    def ids(self, number=0):
        """Return what ovn-controller of a unit is told."""
        return self.machines[number].chassis.database.external_ids

    def bridges(self, number=0):
        """Return what is in which bridge."""
        found = self.machines[number].chassis.database.bridges
        return {name: sorted(bridge["ports"]) for name, bridge in found.items()}


@pytest.fixture
def deploy():
    """Return a function that deploys the charm; with `has_module` the kernel forwards."""

    def deploy(units=1, *, has_module=False, **options):
        return Model(units, options, has_module=has_module)

    return deploy


defaults = model.defaults(CHARM)
