"""Machines in memory with the gateway's twin, and the units of the charm on them, with the requirers of routes."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ops import testing

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE)]

import programs  # noqa: E402  found on the path of the line above

from charm import GatewayCharm  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402
from openinfra_charm.testing import MemoryMachine  # noqa: E402

if yaml.__with_libyaml__:
    # ops.testing writes the charm's metadata anew for each hook; this way it takes no time worth naming.
    setattr(yaml, "SafeDumper", yaml.CSafeDumper)  # noqa: B010  pyright takes it for final

PEERS = 1_000_000
"""The id of the peer relation, beyond those that ops.testing counts out for requirers."""
SUBNET = "10.0.0.0/24"


class GatewayMachine(MemoryMachine):
    """A machine with the gateway's twin and one address."""

    def __init__(self, network=None, number=0):
        super().__init__(f"machine-{number}")
        self.address = f"10.0.0.{number + 10}"
        self.gateway = programs.GatewaySoftware(network or programs.Network(), self, self.address)
        self.bring(self.gateway)


@pytest.fixture(autouse=True)
def machine():
    """A machine for every test, so that none can ever change the one that it runs on."""
    with use(GatewayMachine()) as machine:
        yield machine


@pytest.fixture(scope="session")
def defaults():
    """The options as Juju gives them to a charm that nobody has configured."""
    options = yaml.safe_load((CHARM / "charmcraft.yaml").read_text())["config"]["options"]
    return {name: option["default"] for name, option in options.items()}


class Model:
    """Units of the charm, each on a machine of its own, that see each other's data as Juju would show it."""

    def __init__(self, count=1, application="gateway", **options):
        self.application = application
        self.context = testing.Context(GatewayCharm, app_name=application)
        self.config = {name.replace("_", "-"): value for name, value in options.items()}
        self.network = programs.Network()
        self.machines = [GatewayMachine(self.network, number) for number in range(count)]
        self.unit_data = {number: {} for number in range(count)}
        self.app_data = {}
        self.relations = {}
        self.told = {}
        self.statuses = {}
        self.versions = {}
        self.ports = {}
        self.others_hear = True
        self.leaves = None
        for number in range(count):
            self._begin(number)

    @property
    def on(self):
        return self.context.on

    # What happens in the model

    def add_unit(self):
        """Add a unit on a machine of its own."""
        number = len(self.machines)
        self.machines.append(GatewayMachine(self.network, number))
        self.unit_data[number] = {}
        self._begin(number)

    def _begin(self, number):
        self.run(number, self.on.install(), formed=False)
        self.run(number, self.on.config_changed())
        self.run(number, self.on.start())

    def relate(self, name, app_data, unit_data, endpoint="haproxy-route-tcp"):
        """Relate an application; return the relation's id."""
        relation = testing.Relation(
            endpoint, remote_app_name=name, remote_app_data=app_data, remote_units_data=unit_data
        )
        self.relations[relation.id] = relation
        self.change(relation.id)
        return relation.id

    def change(self, relation_id):
        """Let all units see what a requirer says now."""
        for number in list(self.unit_data):
            self.run(number, lambda seen: self.on.relation_changed(seen, remote_unit=0), relation=relation_id)

    def unrelate(self, relation_id):
        """Take a relation away."""
        for number in list(self.unit_data):
            self.run(number, self.on.relation_broken, relation=relation_id)
        del self.relations[relation_id]
        self.settle()

    def configure(self, **options):
        self.config |= {name.replace("_", "-"): value for name, value in options.items()}
        self.settle()

    def settle(self):
        """Let every unit look again."""
        for number in list(self.unit_data):
            self.run(number, self.on.config_changed())

    def action(self, number, name, **params):
        """Run an action; return its results, with `result` decoded."""
        self.run(number, self.on.action(name, params=params))
        results = dict(self.context.action_results or {})
        return results | ({"result": json.loads(results["result"])} if "result" in results else {})

    def endpoints(self, relation_id):
        """Return where a requirer is told that its route is."""
        return json.loads(self.told.get((relation_id, "app"), {}).get("endpoints", "[]"))

    # How Juju plays it

    def run(self, number, event, *, formed=True, relation=PEERS):
        """Run a hook or action of a unit, and tell the others what it has written."""
        peers = testing.PeerRelation(
            "cluster",
            id=PEERS,
            local_unit_data=self.unit_data[number],
            local_app_data=self.app_data,
            peers_data={other: data for other, data in self.unit_data.items() if other != number},
        )
        others = {
            known: testing.Relation(
                one.endpoint,
                id=known,
                remote_app_name=one.remote_app_name,
                remote_app_data=one.remote_app_data,
                remote_units_data=one.remote_units_data,
                local_app_data=self.told.get((known, "app"), {}),
                local_unit_data=self.told.get((known, number), {}),
            )
            for known, one in self.relations.items()
        }
        machine = self.machines[number]
        address = testing.BindAddress([testing.Address(machine.address, cidr=SUBNET)], interface_name="eth0")
        self.context.unit_id = number
        state = testing.State(
            leader=number == 0,
            config=self.config,
            relations={peers, *others.values()} if formed else set(),
            networks={testing.Network(name, bind_addresses=[address]) for name in ("public", "internal")},
            opened_ports=self.ports.get(number, frozenset()),
            model=testing.Model("cloud"),
        )
        with use(machine), machine.waiting(60), pytest.MonkeyPatch.context() as patched:
            patched.setattr("openinfra_charm.cluster.Cluster.planned", frozenset(self._names()))
            if self.leaves == number:
                # ops.testing does not know the application's own name here.
                me = property(lambda event: event.framework.model.unit)
                patched.setattr("ops.RelationDepartedEvent.departing_unit", me)
            after = self.context.run(_event(event, {PEERS: peers, **others}[relation]), state)
        self.statuses[number] = after.unit_status
        self.versions[number] = after.workload_version
        self.ports[number] = after.opened_ports
        if not formed:
            return
        for known in others:
            left = after.get_relation(known)
            self.told[known, number] = dict(left.local_unit_data)
            if number == 0:
                self.told[known, "app"] = dict(left.local_app_data)
        mine = after.get_relation(PEERS)
        changed = (mine.local_unit_data, mine.local_app_data) != (self.unit_data[number], self.app_data)
        self.unit_data[number], self.app_data = dict(mine.local_unit_data), dict(mine.local_app_data)
        for other in list(self.unit_data) if changed and self.others_hear else ():
            if other != number:
                self.run(other, lambda seen: self.on.relation_changed(seen, remote_unit=number))

    def _names(self):
        return (f"{self.application}/{number}" for number in self.unit_data)

    # What tests look at

    @property
    def gateways(self):
        return [machine.gateway for machine in self.machines]

    def log(self):
        """Return what has changed on all machines, and forget it."""
        changes = [f"{machine.name}: {line}" for machine in self.machines for line in machine.log]
        for machine in self.machines:
            machine.log.clear()
        return changes


def _event(event, relation) -> Any:
    return event(relation) if callable(event) else event


@pytest.fixture
def deploy():
    """Return a function that deploys the charm on so many machines."""
    return Model
