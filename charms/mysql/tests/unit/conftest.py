"""Machines in memory around a twin of MariaDB, and the model that plays the charm's hooks on them."""

import copy
import dataclasses
import json
import sys
from collections import deque
from datetime import UTC, datetime
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
LIBRARY_TESTS = CHARM.parents[1] / "lib/openinfra_charm/tests"
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE), str(LIBRARY_TESTS)]

import authority  # noqa: E402  found on the path of the line above
import machines  # noqa: E402
import twin  # noqa: E402

from charm import MySqlCharm  # noqa: E402
from openinfra_charm import job  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402

if yaml.__with_libyaml__:
    # ops.testing writes the charm's metadata anew for each hook; this way it takes no time worth naming.
    setattr(yaml, "SafeDumper", yaml.CSafeDumper)  # noqa: B010  pyright takes it for final

PEERS = 1_000_000
"""The id of the peer relation, beyond those that ops.testing counts out for clients."""
CERTIFICATES = 1_000_001
"""The id of the relation to the CA."""
GATEWAY = 1_000_002
"""The id of the relation to the gateway."""
HOOK_SECONDS = 60
"""The longest that a hook or an action may take."""


class Model:
    """The units of one application, each on a machine of its own, with what Juju keeps for them.

    Hooks are played one after the other; whoever sees changed peer data gets `relation-changed` for it.
    """

    def __init__(self, units, config):
        self.context = testing.Context(MySqlCharm, app_name="mysql")
        self.galera = twin.Galera()
        self.config = dict(config)
        self.machines = {}
        self.unit_data = {}
        self.app_data = {}
        self.secrets = frozenset()
        self.clients = {}
        self.client_data = {}
        self.statuses = {}
        self.leader = 0
        self.authority: Any = None
        self.days = 30
        self.signed = {}
        self.asks = {}
        self.held = set()
        self.gateway = None
        self.route = {}
        self.behind = {}
        self._due = deque()
        for _ in range(units):
            self.add_unit()

    @property
    def on(self):
        return self.context.on

    def copy(self):
        """Return a second application that is where this one is, and goes its own way."""
        context = testing.Context(MySqlCharm, app_name="mysql")
        modules = [module for machine in self.machines.values() for module in machine.libraries.values()]
        return copy.deepcopy(self, {id(self.context): context, **{id(module): module for module in modules}})

    def _goal_state(self):
        goal = ops.hookcmds.Goal(status="active", since=datetime.now(tz=UTC))
        return ops.hookcmds.GoalState(
            units={f"mysql/{number}": goal for number in self.unit_data}, relations={}
        )

    # What an operator does

    def add_unit(self):
        number = len(self.machines)
        self.machines[number] = machines.MySqlMachine(self.galera, number)
        self.unit_data[number] = {}
        self.run(number, self.on.install(), formed=False)
        self.run(number, self.on.relation_created)
        self.run(number, self.on.config_changed())
        return self.machines[number]

    def configure(self, **options):
        self.config |= {name.replace("_", "-"): value for name, value in options.items()}
        for number in list(self.unit_data):
            self.run(number, self.on.config_changed())

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
        stores = {name: vars(server.load()) for name, server in self.galera.servers.items()}
        return copy.deepcopy((stores, self.galera.primaries(), self.app_data, self.unit_data))

    def destroy_machine(self, number):
        """Lose a machine for good; Juju removes its unit by force, and no hook of it runs."""
        self.machines[number].power_off()
        del self.unit_data[number]
        if self.leader == number:
            self.leader = min(self.unit_data)
        for other in list(self.unit_data):
            self.run(other, lambda relation: self.on.relation_departed(relation, remote_unit=number))

    def remove_unit(self, number):
        """Remove a unit that lives."""
        self.run(number, self.on.stop())
        self.run(number, self.on.remove(), formed=False)
        del self.unit_data[number]
        if self.leader == number and self.unit_data:
            self.leader = min(self.unit_data)
        for other in list(self.unit_data):
            self.run(other, lambda relation: self.on.relation_departed(relation, remote_unit=number))

    def relate(self, relation):
        """Relate a client."""
        self.clients[relation.id] = relation
        self.change_client(relation)

    def relate_certificates(self):
        """Relate a CA, which signs what is asked for at once."""
        now = next(iter(self.machines.values())).now()
        self.authority = authority.make("CA", now - authority.DAY)
        for number in list(self.unit_data):
            self.run(number, self.on.relation_created, relation=CERTIFICATES)

    def relate_gateway(self, endpoints=()):
        """Relate the gateway, which serves the route at these endpoints."""
        self.gateway = list(endpoints)
        for number in list(self.unit_data):
            self.run(number, self.on.relation_changed, relation=GATEWAY)

    def change_client(self, relation):
        """Let all units see what a client says now."""
        self.clients[relation.id] = relation
        for number in list(self.unit_data):
            self.run(number, lambda seen: self.on.relation_changed(seen, remote_unit=0), relation=relation.id)

    def update_status(self):
        """Let Juju look at every unit, and time pass between them."""
        for number in list(self.unit_data):
            self.machines[number].sleep(5)
            self.run(number, self.on.update_status())

    # How Juju plays it

    def run(self, number, event, *, formed=True, relation=PEERS):
        """Play one hook or action, and then the hooks of the others that follow from it.

        `event` is one of the context's, or a function that makes one for a relation.
        """
        self._play(number, event, formed=formed, relation=relation)
        while self._due:
            other, changed = self._due.popleft()
            if other in self.held:
                continue
            if changed == CERTIFICATES:
                self._play(other, self.on.relation_changed, relation=CERTIFICATES)
            elif other in self.unit_data and changed in self.unit_data:
                self._play(
                    other, lambda peers, unit=changed: self.on.relation_changed(peers, remote_unit=unit)
                )

    def _play(self, number, event, *, formed=True, relation=PEERS):
        relations = self._relations(number) if formed else {}
        self.context.unit_id = number
        state = testing.State(
            leader=number == self.leader,
            config=self.config,
            relations=set(relations.values()),
            secrets=self.secrets,
            networks=self._networks(number),
        )
        machine = self.machines[number]
        with pytest.MonkeyPatch.context() as patched, use(machine), machine.waiting(HOOK_SECONDS):
            # The hook tool that ops.testing does not play.
            patched.setattr(ops.hookcmds, "goal_state", self._goal_state)
            after = self.context.run(_event(event, relations.get(relation)), state)
            self._run_jobs(machine)
        self.statuses[number] = after.unit_status
        self.secrets = after.secrets
        for client in self.clients if formed else ():
            self.client_data[client, number] = dict(after.get_relation(client).local_unit_data)
            self.client_data[client, "app"] = dict(after.get_relation(client).local_app_data)
        if formed:
            self._keep(number, after.get_relation(PEERS))
        if formed and self.gateway is not None:
            relation = after.get_relation(GATEWAY)
            self.route, self.behind[number] = dict(relation.local_app_data), dict(relation.local_unit_data)
        if formed and self.authority:
            self._sign(number, after.get_relation(CERTIFICATES))

    def _run_jobs(self, machine):
        for application, job_id in machine.jobs():
            with machine.waiting(3600):
                job.main(application, job_id)
            machine.job_ended(application, job_id)

    def _relations(self, number):
        peers = testing.PeerRelation(
            "cluster",
            id=PEERS,
            local_unit_data=self.unit_data[number],
            local_app_data=self.app_data,
            peers_data={other: data for other, data in self.unit_data.items() if other != number},
        )
        clients = {
            client: dataclasses.replace(
                relation,
                local_unit_data=self.client_data.get((client, number), {}),
                local_app_data=self.client_data.get((client, "app"), {}),
            )
            for client, relation in self.clients.items()
        }
        return {PEERS: peers, **clients, **self._certificates(number), **self._gateway(number)}

    def _gateway(self, number):
        if self.gateway is None:
            return {}
        relation = testing.Relation(
            "gateway",
            id=GATEWAY,
            remote_app_name="gateway",
            remote_app_data={"endpoints": json.dumps(self.gateway)},
            local_app_data=self.route,
            local_unit_data=self.behind.get(number, {}),
        )
        return {GATEWAY: relation}

    def _certificates(self, number):
        if self.authority is None:
            return {}
        answers = [
            {
                "certificate_signing_request": csr,
                "certificate": signed,
                "ca": self.authority.pem,
                "chain": [signed, self.authority.pem],
            }
            for csr, signed in self.signed.items()
        ]
        data = {"certificates": json.dumps(answers)}
        asks = self.asks.get(number, {})
        relation = testing.Relation(
            "certificates",
            id=CERTIFICATES,
            remote_app_name="certificates",
            remote_app_data=data,
            local_unit_data=asks,
        )
        return {CERTIFICATES: relation}

    def _sign(self, number, relation):
        self.asks[number] = dict(relation.local_unit_data)
        wanted = json.loads(self.asks[number].get("certificate_signing_requests", "[]"))
        for csr in [one["certificate_signing_request"] for one in wanted]:
            if csr not in self.signed:
                self.signed[csr] = self.authority.sign(csr, self.machines[number].now(), self.days)
                self._due += [(other, CERTIFICATES) for other in self.unit_data]

    def _networks(self, number):
        address = testing.BindAddress([testing.Address(self.machines[number].address)])
        return {testing.Network(name, bind_addresses=[address]) for name in ("database", "cluster")}

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

    def log(self):
        """Return what has changed on all machines, and forget it."""
        changes = [f"{machine.name}: {line}" for machine in self.machines.values() for line in machine.log]
        for machine in self.machines.values():
            machine.log.clear()
        return changes


def _event(event, relation) -> Any:
    return event(relation) if callable(event) else event


@pytest.fixture
def deploy():
    """Return a function that deploys the charm."""

    def deploy(units=1, **options):
        return Model(units, {option.replace("_", "-"): value for option, value in options.items()})

    return deploy


# What many tests begin with is deployed once, and copied for each.


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
