"""Machines in memory with memcached's twin, and the units of the charm on them."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ops import testing

CHARM = Path(__file__).parents[2]
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins")]

from programs import MemcachedSoftware  # noqa: E402  found on the path of the line above

from charm import MemcachedCharm  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402
from openinfra_charm.testing import MemoryMachine  # noqa: E402


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


@pytest.fixture(scope="session")
def defaults():
    """The options as Juju gives them to a charm that nobody has configured."""
    options = yaml.safe_load((CHARM / "charmcraft.yaml").read_text())["config"]["options"]
    return {name: option["default"] for name, option in options.items()}


class Model:
    """Units of the charm, each on a machine of its own, that see each other's data as Juju would show it."""

    def __init__(self, units, application="memcached"):
        self.application = application
        self.context = testing.Context(MemcachedCharm, app_name=application)
        self.config = {}
        self.machines = [CacheMachine(number) for number in range(units)]
        self.unit_data = {number: {} for number in range(units)}
        self.app_data = {}
        self.cache_data = {number: {} for number in range(units)}
        self.statuses = {}
        self.versions = {}
        for number in range(units):
            self.run(number, self.on.install(), formed=False)
            self.run(number, self.on.config_changed())
            self.run(number, self.on.start())

    @property
    def on(self):
        return self.context.on

    def run(self, number, event, *, formed=True):
        """Run a hook or action of a unit, and tell the others what it has written."""
        peers = testing.PeerRelation(
            "cluster",
            id=1,
            local_unit_data=self.unit_data[number],
            local_app_data=self.app_data,
            peers_data={other: data for other, data in self.unit_data.items() if other != number},
        )
        cache = testing.Relation("cache", id=2, local_unit_data=self.cache_data[number])
        machine = self.machines[number]
        address = testing.BindAddress([testing.Address(machine.address)])
        self.context.unit_id = number
        state = testing.State(
            leader=number == 0,
            config=self.config,
            relations={peers, cache} if formed else set(),
            networks={testing.Network("cache", bind_addresses=[address])},
        )
        with use(machine), machine.waiting(60), pytest.MonkeyPatch.context() as patched:
            patched.setattr("openinfra_charm.cluster.Cluster.planned", frozenset(self._names()))
            after = self.context.run(_event(event, peers), state)
        self.statuses[number] = after.unit_status
        self.versions[number] = after.workload_version
        if not formed:
            return
        relation = after.get_relation(1)
        changed = (relation.local_unit_data, relation.local_app_data) != (
            self.unit_data[number],
            self.app_data,
        )
        self.unit_data[number], self.app_data = dict(relation.local_unit_data), dict(relation.local_app_data)
        self.cache_data[number] = dict(after.get_relation(2).local_unit_data)
        for other in list(self.unit_data) if changed else ():
            if other != number:
                self.run(other, lambda peers: self.on.relation_changed(peers, remote_unit=number))

    def configure(self, **options):
        self.config |= {name.replace("_", "-"): value for name, value in options.items()}
        for number in self.unit_data:
            self.run(number, self.on.config_changed())

    def action(self, number, name, **params):
        """Run an action; return its results."""
        self.run(number, self.on.action(name, params=params))
        return dict(self.context.action_results or {})

    def _names(self):
        return (f"{self.application}/{number}" for number in self.unit_data)


def _event(event, relation) -> Any:
    return event(relation) if callable(event) else event


@pytest.fixture
def deploy():
    """Return a function that deploys the charm on so many machines."""
    return Model
