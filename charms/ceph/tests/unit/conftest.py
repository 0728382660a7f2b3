"""Machines in memory around a twin of Ceph, and the model that plays the charm's hooks on them."""

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
sys.path[:0] = [str(CHARM / "src"), str(CHARM / "tests/twins"), str(HERE)]

import machines  # noqa: E402  found on the path of the line above
import twin  # noqa: E402

from charm import CephCharm  # noqa: E402
from openinfra_charm.machine import use  # noqa: E402

if yaml.__with_libyaml__:
    # ops.testing writes the charm's metadata anew for each hook; this way it takes no time worth naming.
    setattr(yaml, "SafeDumper", yaml.CSafeDumper)  # noqa: B010  pyright takes it for final

PEERS = 1_000_000
"""The id of the peer relation, beyond those that ops.testing counts out for clients."""
HOOK_SECONDS = 60
"""The longest that a hook or an action may take."""
TRIAL = {"failure-domain": "osd", "osd-pool-default-pg-num": 8}
"""Options for clusters small enough to be seen through."""


class Model:
    """The units of one application, each on a machine of its own, with what Juju keeps for them.

    Hooks are played one after the other; whoever sees changed peer data gets `relation-changed` for it.
    """

    def __init__(self, units, config):
        self.context = testing.Context(CephCharm, app_name="ceph")
        self.ceph = twin.Cluster()
        self.config = dict(config)
        self.machines = {}
        self.unit_data = {}
        self.app_data = {}
        self.secrets = frozenset()
        self.clients = {}
        self.client_data = {}
        self.storages = {}
        self.statuses = {}
        self.leader = 0
        self._due = deque()
        for _ in range(units):
            self.add_unit()

    @property
    def on(self):
        return self.context.on

    def copy(self):
        """Return a second application that is where this one is, and goes its own way."""
        context = testing.Context(CephCharm, app_name="ceph")
        return copy.deepcopy(self, {id(self.context): context})

    def _goal_state(self):
        goal = ops.hookcmds.Goal(status="active", since=datetime.now(tz=UTC))
        related = {
            endpoint: {
                f"{relation.remote_app_name}/{number}": goal
                for relation in self.clients.values()
                if relation.endpoint == endpoint
                for number in relation.remote_units_data
            }
            for endpoint in {relation.endpoint for relation in self.clients.values()}
        }
        return ops.hookcmds.GoalState(
            units={f"ceph/{number}": goal for number in self.unit_data}, relations=related
        )

    # What an operator does

    def add_unit(self):
        number = len(self.machines)
        self.machines[number] = machines.CephMachine(self.ceph, number)
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
        ceph = self.ceph
        known = (ceph.osds, ceph.pools, ceph.rules, ceph.auth, ceph.flags, ceph.config, ceph.monitors)
        return copy.deepcopy((*known, self.app_data, self.unit_data))

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
            if other in self.unit_data and changed in self.unit_data:
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
            storages=self.storages.get(number, ()),
        )
        machine = self.machines[number]
        with pytest.MonkeyPatch.context() as patched, use(machine), machine.waiting(HOOK_SECONDS):
            # The hook tool that ops.testing does not play.
            patched.setattr(ops.hookcmds, "goal_state", self._goal_state)
            after = self.context.run(_event(event, relations.get(relation)), state)
        self.statuses[number] = after.unit_status
        self.secrets = after.secrets
        for client in self.clients if formed else ():
            self.client_data[client, number] = dict(after.get_relation(client).local_unit_data)
            self.client_data[client, "app"] = dict(after.get_relation(client).local_app_data)
        if formed:
            self._keep(number, after.get_relation(PEERS))

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
        return {PEERS: peers, **clients}

    def _networks(self, number):
        address = testing.BindAddress([testing.Address(self.machines[number].address)])
        return {testing.Network(name, bind_addresses=[address]) for name in ("public", "cluster")}

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

    def add_osd(self, number, name="sdb"):
        """Plug a disk in and make an OSD of it; return its number."""
        self.machines[number].plug_in(name)
        results = self.action(number, "add-disk", osd_devices=f"/dev/{name}")
        self.machines[number].sleep(3)
        return results["result"][0]["osd-id"]

    def fill(self, name="data", megabytes=100, **params):
        """Make a pool with data in it."""
        self.action(0, "create-pool", name=name, **params)
        pool = next(pool for pool in self.ceph.pools if pool.name == name)
        pool.stored = megabytes << 20
        self.machines[0].sleep(3)
        return pool


def _event(event, relation) -> Any:
    return event(relation) if callable(event) else event


@pytest.fixture
def deploy():
    """Return a function that deploys the charm."""

    def deploy(units=1, **options):
        changed = {option.replace("_", "-"): value for option, value in options.items()}
        return Model(units, TRIAL | changed)

    return deploy


# What many tests begin with is deployed once, and copied for each.


@cache
def _one():
    return Model(1, TRIAL)


@cache
def _three():
    model = Model(3, TRIAL | {"failure-domain": "host"})
    for number in range(3):
        model.add_osd(number)
    return model


@cache
def _full():
    model = _three().copy()
    model.fill()
    model.update_status()
    return model


@cache
def _four():
    model = _full().copy()
    model.add_unit()
    model.add_osd(3)
    return model


@pytest.fixture
def one():
    """One unit, with options for trials."""
    return _one().copy()


@pytest.fixture
def three():
    """Three units with a disk each, and copies on all three machines."""
    return _three().copy()


@pytest.fixture
def full():
    """Three units with a disk and data each."""
    return _full().copy()


@pytest.fixture
def four():
    """A fourth unit with a disk, so that one can be spared."""
    return _four().copy()


@pytest.fixture(scope="session")
def defaults():
    """The options as Juju gives them to a charm that nobody has configured."""
    options = yaml.safe_load((CHARM / "charmcraft.yaml").read_text())["config"]["options"]
    return {name: option["default"] for name, option in options.items()}
