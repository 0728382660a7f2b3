"""Machines in memory around a twin of Keystone, and the model that plays the charm's hooks on them."""

import copy
import dataclasses
import datetime as dt
import json
import sys
from collections import deque
from functools import cache
from pathlib import Path
from typing import Any

import ops
import ops.hookcmds
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ops import testing

HERE = Path(__file__).parent
CHARM = HERE.parents[1]
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE)]

import programs  # noqa: E402  found on the path of the line above
import twin  # noqa: E402

from charm import KeystoneCharm  # noqa: E402
from openinfra_charm import build_release  # noqa: E402
from openinfra_charm.job import Job, Jobs  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402
from openinfra_charm.release_testing import Packaging  # noqa: E402
from openinfra_charm.testing import Clock, Cryptography, MemoryMachine  # noqa: E402

if yaml.__with_libyaml__:
    # ops.testing writes the charm's metadata anew for each hook; this way it takes no time worth naming.
    setattr(yaml, "SafeDumper", yaml.CSafeDumper)  # noqa: B010  pyright takes it for final

PEERS, DATABASE, CERTIFICATES, CACHE, GATEWAY = range(1_000_000, 1_000_005)
"""Ids of relations, beyond those that ops.testing counts out for clients."""
HOOK_SECONDS = 60
DATABASE_SECRET = testing.Secret(
    {"username": "relation-1-1", "password": "db-password"}, id="secret:d00000000000000000d0"
)


@cache
def authority():
    """Return a CA: its key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key, _signed(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")]), key.public_key(), key
    )


def _signed(subject, public_key, key, extensions=()):
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])
    begins = dt.datetime.fromtimestamp(900_000, dt.UTC)
    builder = x509.CertificateBuilder(
        issuer, subject, public_key, x509.random_serial_number(), begins, begins + dt.timedelta(days=3650)
    )
    for extension in extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode().strip()


@cache
def sign(csr):
    """Return a certificate for a request."""
    request = x509.load_pem_x509_csr(csr.encode())
    return _signed(request.subject, request.public_key(), authority()[0], request.extensions)


def names_of(certificate):
    """Return all that a certificate names."""
    loaded = x509.load_pem_x509_certificate(certificate.encode())
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


class KeystoneMachine(MemoryMachine):
    """A machine with Keystone's twin; jobs run while a hook waits for them."""

    def __init__(self, number, database, issued, time):
        super().__init__(f"machine-{number}", time)
        self.address = f"10.0.0.{10 + number}"
        self.packaging = Packaging(self)
        self.keystone = programs.Keystone(database, issued, self)
        self.slow_jobs = False
        for software in (self.packaging, Cryptography(), self.keystone):
            self.bring(software)

    def sleep(self, seconds):
        if not self.slow_jobs:
            self.run_jobs()
        super().sleep(seconds)

    def run_jobs(self):
        for application, job_id in self.jobs():
            jobs = Jobs(self, application)
            record = jobs.find(job_id)
            assert record is not None
            job = Job(jobs, record, self, application)
            try:
                job.end("done", build_release.run(job, **record.arguments))
            except Exception as error:  # noqa: BLE001  as the job's own program does
                job.end("failed", str(error))
            self.job_ended(application, job_id)


class Model:
    """The units of one application, each on a machine of its own, with what Juju keeps for them.

    Hooks are played one after the other; whoever sees changed peer data gets `relation-changed` for it. `held` are units
    whose hooks do not run.
    """

    def __init__(self, units, config):
        self.context = testing.Context(KeystoneCharm, app_name="keystone")
        self.database = twin.Database()
        self.issued = []
        self.time = Clock()
        self.config = dict(config)
        self.machines = {}
        self.unit_data = {}
        self.app_data = {}
        self.secrets = frozenset({DATABASE_SECRET})
        self.others = {
            DATABASE: {
                "endpoints": "10.0.0.5:3306",
                "database": "keystone",
                "secret-user": DATABASE_SECRET.id,
            },
            CERTIFICATES: {},
            CACHE: {},
        }
        self.caches = [0, 1]
        self.local = {}
        self.clients = {}
        self.statuses = {}
        self.held = set()
        self.leader = 0
        self._due = deque()
        for _ in range(units):
            self.add_unit()

    @property
    def on(self):
        return self.context.on

    def copy(self):
        """Return a second application that is where this one is, and goes its own way."""
        context = testing.Context(KeystoneCharm, app_name="keystone")
        kept = {id(module): module for module in sys.modules.values()}
        return copy.deepcopy(self, {id(self.context): context, **kept})

    def _goal_state(self):
        goal = ops.hookcmds.Goal(status="active", since=dt.datetime.now(tz=dt.UTC))
        return ops.hookcmds.GoalState(
            units={f"keystone/{number}": goal for number in self.unit_data}, relations={}
        )

    # What an operator does

    def add_unit(self):
        number = len(self.machines)
        self.machines[number] = KeystoneMachine(number, self.database, self.issued, self.time)
        self.unit_data[number] = {}
        self.run(number, self.on.install(), formed=False)
        self.run(number, self.on.config_changed())
        self.update_status()
        return self.machines[number]

    def configure(self, **options):
        self.config |= {name.replace("_", "-"): value for name, value in options.items()}
        self.every()

    def action(self, number, name, /, **params):
        """Run an action; return its results, with `result` decoded."""
        params = {key.replace("_", "-"): value for key, value in params.items()}
        self.run(number, self.on.action(name, params=params))
        results = dict(self.context.action_results or {})
        return results | ({"result": json.loads(results["result"])} if "result" in results else {})

    def refuse(self, number, name, /, **params):
        """Run an action that fails and must not have changed anything; return its words."""
        self.log()
        before = self.snapshot()
        with pytest.raises(testing.ActionFailed) as refused:
            self.action(number, name, **params)
        assert self.log() == []
        assert self.snapshot() == before
        return refused.value.message

    def snapshot(self):
        """Return all that an action could change, but for the machines' own."""
        content = {secret.id: secret.latest_content for secret in self.secrets}
        return copy.deepcopy((vars(self.database), content, self.app_data, self.unit_data, self.local))

    def relate(self, endpoint, app="glance", **data):
        """Relate a client; return the relation's id."""
        other = {key.replace("_", "-"): value for key, value in data.items()}
        relation = testing.Relation(endpoint, remote_app_name=app, remote_app_data=other)
        self.clients[relation.id] = relation
        self.every(lambda seen: self.on.relation_changed(seen, remote_unit=0), relation=relation.id)
        return relation.id

    def unrelate(self, number):
        """Remove a client's relation, or that with another application."""
        # ops.testing shows a relation that is being removed as active no more in its last hook only.
        self.every(self.on.relation_broken, relation=number)
        self.clients.pop(number, None)
        self.others.pop(number, None)
        self.every()

    def every(self, event=None, relation=PEERS):
        for number in list(self.unit_data):
            self.run(number, event or self.on.config_changed(), relation=relation)

    def update_status(self):
        """Let Juju look at every unit, and time pass between them."""
        for number in list(self.unit_data):
            self.machines[number].sleep(5)
            self.run(number, self.on.update_status())

    # How Juju plays it

    def run(self, number, event, *, formed=True, relation=PEERS):
        """Play one hook or action, and then the hooks of the others that follow from it."""
        self._play(number, event, formed=formed, relation=relation)
        while self._due:
            other, changed = self._due.popleft()
            if other in self.unit_data and changed in self.unit_data:
                self._play(
                    other, lambda peers, unit=changed: self.on.relation_changed(peers, remote_unit=unit)
                )

    def _play(self, number, event, *, formed=True, relation=PEERS):
        if number in self.held:
            return
        relations = self._relations(number) if formed else {}
        self.context.unit_id = number
        machine = self.machines[number]
        address = testing.BindAddress([testing.Address(machine.address)])
        state = testing.State(
            leader=number == self.leader,
            config=self.config,
            relations=set(relations.values()),
            secrets=self.secrets,
            networks={testing.Network("internal", bind_addresses=[address])},
        )
        with pytest.MonkeyPatch.context() as patched, use(machine), machine.waiting(HOOK_SECONDS):
            # The hook tool that ops.testing does not play.
            patched.setattr(ops.hookcmds, "goal_state", self._goal_state)
            after = self.context.run(_event(event, relations.get(relation)), state)
        self.statuses[number] = after.unit_status
        self.secrets = after.secrets
        for one in relations if formed else ():
            if one != PEERS:
                seen = after.get_relation(one)
                self.local[one, number] = dict(seen.local_unit_data)
                self.local[one, "app"] = dict(seen.local_app_data)
        if formed:
            self._keep(number, after.get_relation(PEERS))
            self._issue(number)

    def _issue(self, number):
        """Sign what a unit has asked for, and tell it."""
        wanted = json.loads(
            self.local.get((CERTIFICATES, number), {}).get("certificate_signing_requests", "[]")
        )
        answers = json.loads(self.others.get(CERTIFICATES, {}).get("certificates", "[]"))
        known = {one["certificate_signing_request"] for one in answers}
        new = [
            one["certificate_signing_request"]
            for one in wanted
            if one["certificate_signing_request"] not in known
        ]
        if not new or CERTIFICATES not in self.others:
            return
        ca = authority()[1]
        answers += [
            {"certificate_signing_request": csr, "certificate": sign(csr), "ca": ca, "chain": [sign(csr), ca]}
            for csr in new
        ]
        self.others[CERTIFICATES] = {"certificates": json.dumps(answers)}
        self._play(number, lambda seen: self.on.relation_changed(seen, remote_unit=0), relation=CERTIFICATES)

    def _relations(self, number):
        peers = testing.PeerRelation(
            "cluster",
            id=PEERS,
            local_unit_data=self.unit_data[number],
            local_app_data=self.app_data,
            peers_data={other: data for other, data in self.unit_data.items() if other != number},
        )
        names = {DATABASE: "database", CERTIFICATES: "certificates", CACHE: "cache", GATEWAY: "gateway"}
        found: dict[int, Any] = {
            one: testing.Relation(
                names[one],
                id=one,
                remote_app_name=names[one],
                remote_app_data=data,
                remote_units_data={n: {"host": f"10.0.1.{n}", "port": "11211"} for n in self.caches}
                if one == CACHE
                else {0: {}},
            )
            for one, data in self.others.items()
        }
        for one, relation in (found | self.clients).items():
            found[one] = dataclasses.replace(
                relation,
                local_unit_data=self.local.get((one, number), {}),
                local_app_data=self.local.get((one, "app"), {}),
            )
        return {PEERS: peers, **found}

    def _keep(self, number, relation):
        unit_data, app_data = dict(relation.local_unit_data), dict(relation.local_app_data)
        changed = (unit_data, app_data) != (self.unit_data[number], self.app_data)
        self.unit_data[number], self.app_data = unit_data, app_data
        for other in self.unit_data if changed else ():
            if other != number and (other, number) not in self._due:
                self._due.append((other, number))

    # What tests look at

    @property
    def shared(self):
        return {key: json.loads(value) for key, value in self.app_data.items()}

    def secret(self, label):
        """Return the newest content of a secret of the application's."""
        return next(secret.latest_content for secret in self.secrets if secret.label == label)

    def answer(self, relation):
        """Return what a client is told."""
        return self.local[relation, "app"]

    def log(self):
        """Return what has changed on all machines, and forget it."""
        changes = [f"{machine.name}: {line}" for machine in self.machines.values() for line in machine.log]
        for machine in self.machines.values():
            machine.log.clear()
        return changes


def _event(event, relation) -> Any:
    return event(relation) if callable(event) else event


@pytest.fixture(autouse=True)
def machine():
    """A machine for every test, so that none can ever change the one that it runs on."""
    with use(MemoryMachine()) as machine:
        yield machine


@pytest.fixture(scope="session")
def defaults():
    """The options as Juju gives them to a charm that nobody has configured."""
    options = yaml.safe_load((CHARM / "charmcraft.yaml").read_text())["config"]["options"]
    return {name: option["default"] for name, option in options.items()}


@pytest.fixture
def deploy():
    """Return a function that deploys the charm."""

    def deploy(units=1, **options):
        return Model(units, {option.replace("_", "-"): value for option, value in options.items()})

    return deploy


@cache
def _one():
    return Model(1, {})


@cache
def _three():
    return Model(3, {})


@pytest.fixture
def one():
    return _one().copy()


@pytest.fixture
def three():
    return _three().copy()
