"""Machines in memory around a twin of RabbitMQ, and the units of the charm on them."""

import dataclasses
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
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE)]
sys.path.append(str(CHARM.parents[1] / "lib/openinfra_charm/tests"))

import authority  # noqa: E402
import model  # noqa: E402
import twin  # noqa: E402
from machines import CERTIFICATES, CLIENT, BrokerMachine  # noqa: E402
from model import PEERS  # noqa: E402

from charm import RabbitMqCharm  # noqa: E402
from openinfra_charm.daemon import job  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402
from openinfra_charm.testing import MemoryMachine  # noqa: E402

JOB_SECONDS = 3600


class Model(model.Model):
    """The units of one cluster; what they ask a CA for is signed at once."""

    charm, application, bindings = RabbitMqCharm, "rabbitmq", ("amqp", "cluster")

    def __init__(self, units=1, config=None):
        self.brokers = twin.Brokers()
        self.leaving = set()
        self.authority: Any = authority.make("CA", 1_000_000.0 - authority.DAY)
        super().__init__(
            units,
            config,
            relations=[testing.Relation("certificates", id=CERTIFICATES, remote_app_name="certificates")],
        )

    def make_machine(self, number):
        return BrokerMachine(self.brokers, number)

    def known(self):
        return {name: vars(node.load() or twin.Store([], [])) for name, node in self.brokers.nodes.items()}

    def remove_unit(self, number):
        self.leaving.add(number)
        super().remove_unit(number)

    def relate_client(self, application="nova", number=CLIENT, *, units=None, **asks):
        """Relate an application that asks for this."""
        data = {key.replace("_", "-"): value for key, value in asks.items()}
        self.relate(
            testing.Relation(
                "amqp",
                id=number,
                remote_app_name=application,
                remote_app_data=data,
                remote_units_data=units or {0: {}},
            )
        )

    def told(self, number=CLIENT):
        """What the leader has told a client's application."""
        return self.local[number, "app"]

    def credentials(self, number=CLIENT):
        """What is in the secret of a client."""
        (secret,) = [one for one in self.secrets if one.id == self.told(number)["secret-user"]]
        return secret.latest_content

    def _relations(self, number):
        relations = super()._relations(number)
        if number in self.leaving:
            # A unit that leaves has departed from its peers one by one before it stops.
            relations[PEERS] = dataclasses.replace(relations[PEERS], peers_data={})
        return relations

    def _patch(self, patched, number):
        super()._patch(patched, number)
        patched.setattr(
            ops.hookcmds,
            "relation_get",
            lambda _, *, unit: dict(self.unit_data.get(int(unit.partition("/")[2]), {})),
        )

    def _goal_state(self):
        goal = super()._goal_state()
        units = {
            unit: dataclasses.replace(
                one, status="dying" if int(unit.partition("/")[2]) in self.leaving else "active"
            )
            for unit, one in goal.units.items()
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
        if CERTIFICATES in self.relations and self.sign(CERTIFICATES, self.authority):
            self.wake(CERTIFICATES)

    def pass_time(self, rounds=3):
        """Let minutes pass, with Juju's looks between them."""
        for _ in range(rounds):
            for machine in self.machines.values():
                if machine.powered:
                    machine.sleep(60)
            self.update_status()

    def cut_power(self, *numbers):
        """Have machines lose power, one after the other."""
        for number in numbers:
            self.held.add(number)
            self.machines[number].power_off()

    def cut_all_power(self):
        """Have all machines lose power at once: each has last seen all others run."""
        stores = {number: self.machines[number].broker.load() for number in self.unit_data}
        self.cut_power(*self.unit_data)
        for number, store in stores.items():
            self.machines[number].broker.save(store)

    def give_power(self, *numbers):
        for number in numbers:
            self.held.discard(number)
            self.machines[number].power_on()


@pytest.fixture(autouse=True)
def machine():
    """A machine for every test, so that none can ever change the one that it runs on."""
    with use(MemoryMachine()) as machine:
        yield machine


@pytest.fixture
def deploy():
    """Return a function that deploys the charm."""

    def deploy(units=1, **options):
        return Model(units, options)

    return deploy


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
