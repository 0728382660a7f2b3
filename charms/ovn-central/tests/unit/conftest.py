"""Machines in memory around a twin of OVN's databases, and the units of the charm on them."""

import sys
from pathlib import Path

from ops import testing

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
LIBRARY_TESTS = CHARM.parents[1] / "lib/openinfra_charm/tests"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(LIBRARY_TESTS)]

import authority  # noqa: E402  found on the path of the line above
import cluster_model  # noqa: E402
import machines  # noqa: E402
import model  # noqa: E402
import twin  # noqa: E402
from machines import CERTIFICATES, CHASSIS, CMS  # noqa: E402

from charm import OvnCentralCharm  # noqa: E402
from openinfra_charm.testing import Clock  # noqa: E402


class Model(cluster_model.ClusterModel):
    """The units of one application, related to a chassis and a cloud management system; a CA signs what they ask for at once."""

    charm, application, bindings = OvnCentralCharm, "ovn-central", ("cluster", "ovsdb", "ovsdb-cms")

    def __init__(self, units=1, config=None):
        self.ovn = twin.Ovn()
        self.authority = authority.make("CA", Clock().now - authority.DAY)
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


deploy, one, three = model.fixtures(Model)


defaults = model.defaults(CHARM)
