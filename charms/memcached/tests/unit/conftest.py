"""Machines in memory with memcached's twin, and the units of the charm on them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ops import testing

CHARM = Path(__file__).parents[2]
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins")]
sys.path.append(str(CHARM.parents[1] / "lib/openinfra_charm/tests"))

import authority  # noqa: E402  found on the path of the line above
from programs import MemcachedSoftware  # noqa: E402  found on the path of the line above

from charm import MemcachedCharm  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402
from openinfra_charm.testing import Clock, MemoryMachine  # noqa: E402


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
        self.machines = []
        self.unit_data = {}
        self.app_data = {}
        self.cache_data = {}
        self.certificates: Certificates | None = None
        self.statuses = {}
        self.versions = {}
        for _ in range(units):
            self.add_unit()

    def add_unit(self):
        """Add a unit on a machine of its own."""
        number = len(self.machines)
        self.machines.append(CacheMachine(number))
        self.unit_data[number], self.cache_data[number] = {}, {}
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
            unit_status=self.statuses.get(number, testing.UnknownStatus()),
            relations={peers, cache, *self._authorities(number)} if formed else set(),
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
        if self.certificates is not None:
            self.certificates.said[number] = dict(after.get_relation(3).local_unit_data)
        for other in list(self.unit_data) if changed else ():
            if other != number:
                self.run(other, lambda peers: self.on.relation_changed(peers, remote_unit=number))

    def configure(self, **options):
        self.config |= {name.replace("_", "-"): value for name, value in options.items()}
        for number in self.unit_data:
            self.run(number, self.on.config_changed())

    # Certificates

    def secure(self, **options):
        """Relate a CA, whose answers `answer` brings."""
        self.certificates = Certificates(Clock().now, **options)
        for number in self.unit_data:
            self.run(number, self.on.relation_created(self._authorities(number)[0]))

    def answer(self):
        """Have the CA sign what is asked for, and each unit see it."""
        assert self.certificates
        for number in self.unit_data:
            self.certificates.answer(number, self.machines[number].now())
        for number in self.unit_data:
            self.run(number, self.on.relation_changed(self._authorities(number)[0]))

    def release(self):
        """Remove the relation to the CA."""
        relations = [self._authorities(number)[0] for number in self.unit_data]
        for number, relation in enumerate(relations):
            self.run(number, self.on.relation_broken(relation))
        self.certificates = None
        for number in self.unit_data:
            self.run(number, self.on.update_status())

    def _authorities(self, number):
        """Return the relation to the CA as a unit sees it, if there is one."""
        if self.certificates is None:
            return []
        ours, theirs = self.certificates.said.get(number, {}), self.certificates.told
        return [
            testing.Relation(
                "certificates", id=3, remote_app_name="ca", local_unit_data=ours, remote_app_data=theirs
            )
        ]

    def action(self, number, name, **params):
        """Run an action; return its results."""
        self.run(number, self.on.action(name, params=params))
        return dict(self.context.action_results or {})

    def _names(self):
        return (f"{self.application}/{number}" for number in self.unit_data)


class Certificates:
    """A CA that signs for so many days: what each unit has said to it, and what it told."""

    def __init__(self, now, days=30):
        self.root = authority.make("root", now)
        self.days = days
        self.said = {}
        self.issued = {}

    def answer(self, number, now):
        (request,) = json.loads(self.said[number]["certificate_signing_requests"])
        csr = request["certificate_signing_request"]
        if self.issued.get(number, {}).get("certificate_signing_request") != csr:
            leaf = self.root.sign(csr, now, days=self.days)
            self.issued[number] = {
                "certificate": leaf,
                "certificate_signing_request": csr,
                "ca": self.root.pem,
                "chain": [leaf, self.root.pem],
            }

    @property
    def told(self):
        return {"certificates": json.dumps(list(self.issued.values()))} if self.issued else {}


def _event(event, relation) -> Any:
    return event(relation) if callable(event) else event


@pytest.fixture
def deploy():
    """Return a function that deploys the charm on so many machines."""
    return Model
