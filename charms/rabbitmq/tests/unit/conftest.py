"""Machines in memory around a twin of RabbitMQ, and the units of the charm on them."""

import sys
from pathlib import Path
from typing import Any

import pytest
from ops import testing

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE)]
sys.path.append(str(CHARM.parents[1] / "lib/openinfra_charm/tests"))

import authority  # noqa: E402
import cluster_model  # noqa: E402
import model  # noqa: E402
import twin  # noqa: E402
from machines import CERTIFICATES, CLIENT, BrokerMachine  # noqa: E402

from charm import RabbitMqCharm  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402
from openinfra_charm.testing import MemoryMachine  # noqa: E402


class Model(cluster_model.ClusterModel):
    """The units of one cluster; what they ask a CA for is signed at once."""

    charm, application, bindings = RabbitMqCharm, "rabbitmq", ("amqp", "cluster")

    def __init__(self, units=1, config=None):
        self.brokers = twin.Brokers()
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


deploy, one, three = model.fixtures(Model)


defaults = model.defaults(CHARM)
