"""Machines in memory with the gateway's twin, and the units of the charm on them, with the requirers of routes."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest
from ops import testing

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
LIBRARY = CHARM.parents[1] / "lib/openinfra_charm"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(LIBRARY / "tests")]

import model  # noqa: E402  found on the path of the line above
import programs  # noqa: E402

from charm import GatewayCharm  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402
from openinfra_charm.testing import MemoryMachine  # noqa: E402

SUBNET = "10.0.0.0/24"


class GatewayMachine(MemoryMachine):
    """A machine with the gateway's twin and one address."""

    def __init__(self, network=None, number=0):
        super().__init__(f"machine-{number}")
        self.address = f"10.0.0.{number + 10}"
        self.hold(f"{self.address}/24")
        self.gateway = programs.GatewaySoftware(network or programs.Network(), self, self.address)
        self.bring(self.gateway)


@pytest.fixture(autouse=True)
def machine():
    """A machine for every test, so that none can ever change the one that it runs on."""
    with use(GatewayMachine()) as machine:
        yield machine


defaults = model.defaults(CHARM)


class Model(model.Model):
    """The gateways of one application; `leaves` is the unit that Juju is removing, if any."""

    charm, bindings = GatewayCharm, ("public", "internal")

    def __init__(self, units=1, application="gateway", **config):
        self.application = application
        self.network = programs.Network()
        self.versions = {}
        self.ports = {}
        self.leaves = None
        super().__init__(units, config)

    def make_machine(self, number):
        return GatewayMachine(self.network, number)

    def relate_client(self, name, app_data, unit_data, endpoint="haproxy-route-tcp"):
        """Relate an application; return the relation's id."""
        relation = testing.Relation(
            endpoint, remote_app_name=name, remote_app_data=app_data, remote_units_data=unit_data
        )
        self.relate(relation)
        return relation.id

    def endpoints(self, relation):
        """Return where a requirer is told that its route is."""
        return json.loads(self.local.get((relation, "app"), {}).get("endpoints", "[]"))

    @property
    def gateways(self):
        return [machine.gateway for machine in self.machines.values()]

    def _patch(self, patched, number):
        super()._patch(patched, number)
        if self.leaves == number:
            # ops.testing does not know the application's own name here.
            me = property(lambda event: event.framework.model.unit)
            patched.setattr("ops.RelationDepartedEvent.departing_unit", me)

    def _state(self, number, relations, secrets):
        ports = self.ports.get(number, frozenset())
        cloud = testing.Model("cloud")
        return dataclasses.replace(
            super()._state(number, relations, secrets), opened_ports=ports, model=cloud
        )

    def _networks(self, number):
        where = sorted(one.address for one in self.machines[number].held)
        address = testing.BindAddress(
            [testing.Address(one, cidr=SUBNET) for one in where], interface_name="eth0"
        )
        return self._bound(number, address)

    def _keep(self, number, after, relations):
        super()._keep(number, after, relations)
        self.versions[number] = after.workload_version
        self.ports[number] = after.opened_ports


@pytest.fixture
def deploy():
    """Return a function that deploys the charm on so many machines."""
    return Model
