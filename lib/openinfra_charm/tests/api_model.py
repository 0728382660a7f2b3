"""A model for tests of an OpenStack API's charm: its units with the service's twin, and what they need of other applications."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import authority
import model
from model import PEERS
from ops import testing
from running import Jobs

from openinfra_charm.testing import Clock, Cryptography, MemoryMachine
from openinfra_charm.testing.packaging import Packaging

if TYPE_CHECKING:
    from collections.abc import Callable

    from openinfra_charm.testing.openstack import Api

DATABASE, CERTIFICATES, CACHE, IDENTITY, GATEWAY, BROKER, NETWORKS = range(PEERS + 1, PEERS + 8)
"""Ids of relations."""
CEPH = PEERS + 20
YEARS = 3650
DATABASE_SECRET = testing.Secret(
    {"username": "relation-1-1", "password": "db-password"}, id="secret:d00000000000000000d0"
)
IDENTITY_SECRET = testing.Secret(
    {"username": "svc-2-1", "password": "token-password"}, id="secret:i00000000000000000i0"
)
BROKER_SECRET = testing.Secret(
    {"username": "relation-6-1", "password": "broker-password"}, id="secret:b00000000000000000b0"
)
CEPH_SECRET = testing.Secret({"key": "ceph-key"}, id="secret:c00000000000000000c0")
KEYSTONE = {
    "public-auth-url": "https://10.0.0.9:5000/v3", "internal-auth-url": "https://10.1.0.9:5000/v3",
    "service-domain-name": "service_domain", "service-project-name": "services", "region": "RegionOne",
    "service-credentials": IDENTITY_SECRET.id,
}  # fmt: skip
RELATIONS = (
    testing.Relation(
        "database", id=DATABASE, remote_app_name="mysql",
        remote_app_data={"endpoints": "10.0.0.5:3306", "database": "service", "secret-user": DATABASE_SECRET.id},
    ),
    testing.Relation("identity-service", id=IDENTITY, remote_app_name="keystone", remote_app_data=KEYSTONE),
    testing.Relation("certificates", id=CERTIFICATES, remote_app_name="certificates"),
    testing.Relation(
        "cache", id=CACHE, remote_app_name="memcached", remote_units_data={0: {"host": "10.0.1.0", "port": "11211"}}
    ),
    testing.Relation(
        "amqp", id=BROKER, remote_app_name="rabbitmq", remote_app_data={"secret-user": BROKER_SECRET.id},
        remote_units_data={0: {"hostname": "10.0.0.6", "ssl_port": "5671", "ssl_ca": "Q0EK"}},
    ),
    testing.Relation(
        "ovsdb-cms", id=NETWORKS, remote_app_name="ovn-central", remote_units_data={0: {"bound-address": "10.0.0.7"}}
    ),
    testing.Relation(
        "ceph", id=CEPH, remote_app_name="ceph", remote_app_data={"secret-key": CEPH_SECRET.id},
        remote_units_data={0: {"ceph-public-address": "10.0.2.1"}, 1: {"ceph-public-address": "10.0.2.2"}},
    ),
)  # fmt: skip
"""Those of an API that are there from the first moment on, and have been answered; Ceph answers each unit's request (`stores`)."""


class ApiMachine(MemoryMachine):
    """A machine with the service's twin; jobs run as time passes."""

    address: str
    api: Api
    packaging: Packaging
    running: Jobs


class ApiModel(model.Model):
    """The units of a service, with what they need; what they ask a CA for is signed at once."""

    bindings = ("internal",)
    stores = True
    """Whether Ceph does what it is asked for."""
    more_relations: tuple[Any, ...] = ()
    more_secrets: tuple[testing.Secret, ...] = ()
    """Those that only this charm has."""
    software: Callable[[MemoryMachine, list[str]], Api]
    """Makes a unit's twin of its machine and what all units' programs have done."""

    def __init__(self, units=1, config=None):
        self.done: list[str] = []
        self.time = Clock()
        self.authority = authority.make("CA", self.time.now - authority.DAY)
        endpoints = self._make_context().charm_spec.meta["requires"]
        relations = [one for one in (*RELATIONS, *self.more_relations) if one.endpoint in endpoints]
        secrets = [DATABASE_SECRET, IDENTITY_SECRET, BROKER_SECRET, CEPH_SECRET, *self.more_secrets]
        super().__init__(units, config, relations, secrets)

    def make_machine(self, number):
        machine = ApiMachine(f"machine-{number}", self.time)
        machine.address = f"10.0.0.{10 + number}"
        machine.api = self.software(machine, self.done)
        machine.api.listen(machine.address, [other.api for other in self.machines.values()])
        machine.packaging, machine.running = Packaging(machine), Jobs(machine)
        for software in (machine.packaging, Cryptography(), machine.api, machine.running):
            machine.bring(software)
        return machine

    def add_unit(self):
        machine = super().add_unit()
        self.update_status()
        return machine

    def known(self):
        return list(self.done)

    def relate_gateway(self, *endpoints):
        """Relate the gateway, which serves the route at these endpoints."""
        data = {"endpoints": json.dumps(endpoints)}
        self.relate(testing.Relation("gateway", id=GATEWAY, remote_app_name="gateway", remote_app_data=data))

    def give(self, secret, **content):
        """Have another application give new credentials, in the next revision of its secret."""
        new = testing.Secret(secret.tracked_content, latest_content=content, id=secret.id)
        self.secrets = frozenset({*(one for one in self.secrets if one.id != secret.id), new})

    def _keep(self, number, after, relations):
        super()._keep(number, after, relations)
        if CERTIFICATES in self.relations and self.sign(CERTIFICATES, self.authority, YEARS):
            self.wake(CERTIFICATES)
        if CEPH in self.relations and self.stores and self.answer_from_ceph():
            self.wake(CEPH)

    def asked_of_ceph(self, number=0):
        """Return what a unit asks Ceph for."""
        return json.loads(self.local[CEPH, number]["broker_req"])

    def answer_from_ceph(self, **answer):
        """Have Ceph's leader answer what units ask for; return whether there was something new."""
        before = self.relations[CEPH].remote_units_data[0]
        said = {
            f"broker-rsp-{self.application}-{number}": json.dumps(
                {"request-id": self.asked_of_ceph(number)["request-id"], "exit-code": 0, **answer}
            )
            for number in self.unit_data
            if "broker_req" in self.local.get((CEPH, number), {})
        }
        self.tell(CEPH, unit=said)
        return self.relations[CEPH].remote_units_data[0] != before
