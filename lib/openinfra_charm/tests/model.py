"""A model for tests of a charm: the units of its application, each on a machine of its own, and Juju between them."""

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
from scenario import mocking

from openinfra_charm.machine import use

if yaml.__with_libyaml__:
    # ops.testing writes the charm's metadata anew for each hook; this way it takes no time worth naming.
    setattr(yaml, "SafeDumper", yaml.CSafeDumper)  # noqa: B010  pyright takes it for final

PEERS = 1_000_000
"""The id of the peer relation, beyond those that ops.testing counts out; others with fixed ids follow it."""
HOOK_SECONDS = 60
"""The longest that a hook or an action may take."""


def _refuse(*_):
    """Answer `network-get` as Juju may in a hook of a relation that is gone from the model, whatever the binding is.

    ops makes this of Juju's words, "relation 3 not found".
    """
    raise ops.RelationNotFoundError


class Model:
    """The units of one application, each on a machine of its own, with what Juju keeps for them.

    Hooks are played one after the other; whoever sees changed peer data gets `relation-changed` for it. `relations` are
    those with other applications, as these have written them; `local` is what this one has, by relation and unit (or "app").
    `held` are units whose hooks do not run (their actions do), `readers` the units that secrets are granted to, where it is one only.
    `unmet` are pairs of units of which the first has not met the second yet: its relation does not show it. `translated` are the
    addresses, by unit, at which others reach it that it does not have itself.
    """

    charm: type[ops.CharmBase]
    application: str
    bindings: tuple[str, ...]
    """Those that have the machine's address."""

    def __init__(self, units=1, config=None, relations=(), secrets=()):
        self.context = self._make_context()
        self.config = {name.replace("_", "-"): value for name, value in (config or {}).items()}
        self.machines: dict[int, Any] = {}
        self.unit_data = {}
        self.app_data = {}
        self.secrets = frozenset(secrets)
        self.readers = {}
        self.relations: dict[int, Any] = {relation.id: relation for relation in relations}
        self.local = {}
        self.statuses: dict[int, Any] = {}
        self.translated: dict[int, str] = {}
        self.held = set()
        self.unmet = set()
        self.leader = 0
        self._due = deque()
        for _ in range(units):
            self.add_unit()

    def make_machine(self, number) -> Any:
        """Return the machine of a new unit."""
        raise NotImplementedError

    def _make_context(self):
        return testing.Context(self.charm, app_name=self.application)

    @property
    def on(self):
        return self.context.on

    def copy(self):
        """Return a second application that is where this one is, and goes its own way."""
        kept = {id(module): module for module in sys.modules.values()}
        return copy.deepcopy(self, {id(self.context): self._make_context(), **kept})

    # What an operator does

    def add_unit(self):
        number = len(self.machines)
        self.machines[number] = self.make_machine(number)
        self.unit_data[number] = {}
        self.run(number, self.on.install(), formed=False)
        self.run(number, self.on.relation_created)
        self.run(number, self.on.config_changed())
        self.run(number, self.on.start())
        return self.machines[number]

    def remove_unit(self, number):
        """Remove a unit that lives; by the time that it stops its relation has forgotten the peers."""
        self.unmet |= {(number, other) for other in self.unit_data}
        self.run(number, self.on.stop())
        self.run(number, self.on.remove(), formed=False)
        self._forget(number)

    def destroy_machine(self, number):
        """Lose a machine for good; Juju removes its unit by force, and no hook of it runs."""
        self.machines[number].scrap()
        self._forget(number)

    def give_up_unit(self, number):
        """Remove a unit by force: no hook of it runs, and its machine stays, with all that runs there."""
        self._forget(number)

    def _forget(self, number):
        del self.unit_data[number]
        if self.leader == number and self.unit_data:
            self.leader = min(self.unit_data)
        self.every(lambda relation: self.on.relation_departed(relation, remote_unit=number))

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
        """Return all that an action could change but for the machines' own: what Juju keeps, and the software."""
        content = {secret.id: secret.latest_content for secret in self.secrets}
        return copy.deepcopy(((content, self.app_data, self.unit_data, self.local), self.known()))

    def known(self) -> Any:
        """Return what the software on all machines together knows, if it knows anything."""

    # What other applications do

    def relate(self, relation):
        """Relate an application, or let all units see what one that is related says now."""
        is_new = relation.id not in self.relations
        self.relations[relation.id] = relation
        if is_new:
            self.every(self.on.relation_created, relation=relation.id)
        self.every(lambda seen: self.on.relation_changed(seen, remote_unit=0), relation=relation.id)

    def unrelate(self, number):
        """Remove a relation."""
        # ops.testing shows a relation that is being removed as active no more in its last hook only.
        self.every(self.on.relation_broken, relation=number)
        del self.relations[number]
        self.every()

    def tell(self, relation, app: Any = (), unit: Any = ()):
        """Have another application write this, and its unit 0 that; no hook runs for it."""
        known = self.relations[relation]
        units = {**known.remote_units_data, 0: {**known.remote_units_data.get(0, {}), **dict(unit)}}
        self.relations[relation] = dataclasses.replace(
            known, remote_app_data={**known.remote_app_data, **dict(app)}, remote_units_data=units
        )

    def sign(self, relation, authority, days=30):
        """Have a CA sign what units have asked for, and write it; return whether there was something new."""
        known = json.loads(self.relations[relation].remote_app_data.get("certificates", "[]"))
        signed = {one["certificate_signing_request"] for one in known}
        asked = [
            (number, one["certificate_signing_request"])
            for number in self.unit_data
            for one in json.loads(
                self.local.get((relation, number), {}).get("certificate_signing_requests", "[]")
            )
        ]
        new = [(number, csr) for number, csr in asked if csr not in signed]
        for number, csr in new:
            leaf = authority.sign(csr, self.machines[number].now(), days)
            chain = [leaf, authority.pem]
            known.append(
                {
                    "certificate_signing_request": csr,
                    "certificate": leaf,
                    "ca": authority.pem,
                    "chain": chain,
                }
            )
        if new:
            self.tell(relation, {"certificates": json.dumps(known)})
        return bool(new)

    # How Juju plays it

    def every(self, event=None, relation=PEERS):
        """Play a hook of every unit."""
        for number in list(self.unit_data):
            self.run(number, event or self.on.config_changed(), relation=relation)

    def update_status(self):
        """Let Juju look at every unit, and time pass between them."""
        for number in list(self.unit_data):
            self.machines[number].sleep(5)
            self.run(number, self.on.update_status())

    def run(self, number, event, *, formed=True, relation=PEERS):
        """Play one hook or action, and then the hooks of the others that follow from it.

        `event` is one of the context's, or a function that makes one for a relation.
        """
        self._play(number, event, formed=formed, relation=relation)
        while self._due:
            other, about, changed = self._due.popleft()
            if other in self.unit_data and (about != PEERS or changed in self.unit_data):
                self._play(
                    other,
                    lambda seen, unit=changed: self.on.relation_changed(seen, remote_unit=unit),
                    relation=about,
                )

    def wake(self, relation, unit=0):
        """Have all units but the one that has changed it see a relation anew."""
        peer = unit if relation == PEERS else None
        due = [(number, relation, unit) for number in self.unit_data if number != peer]
        self._due += [entry for entry in due if entry not in self._due]

    def _play(self, number, event: Any, *, formed=True, relation=PEERS):
        if number in self.held and not getattr(event, "action", None):
            return
        relations = self._relations(number) if formed else {}
        hidden = {secret for secret in self.secrets if self.readers.get(secret.id, number) != number}
        self.context.unit_id = number
        machine = self.machines[number]
        state = self._state(number, set(relations.values()), self.secrets - hidden)
        with pytest.MonkeyPatch.context() as patched, use(machine), machine.waiting(HOOK_SECONDS):
            self._patch(patched, number)
            chosen: Any = event(relations.get(relation)) if callable(event) else event
            if chosen.name.endswith("_relation_broken"):
                patched.setattr(mocking._MockModelBackend, "network_get", _refuse)
            after = self.context.run(chosen, state)
        self.secrets = after.secrets | hidden
        self._keep(number, after, relations)

    def _patch(self, patched, _number):
        """Play what ops.testing does not play for a unit's hook."""
        patched.setattr(ops.hookcmds, "goal_state", self._goal_state)

    def _goal_state(self):
        goal = ops.hookcmds.Goal(status="active", since=datetime.now(tz=UTC))
        related: dict[str, dict[str, ops.hookcmds.Goal]] = {}
        for relation in self.relations.values():
            goals = related.setdefault(relation.endpoint, {})
            # That with a subordinate has one unit only.
            numbers = getattr(relation, "remote_units_data", ())
            names = (f"{relation.remote_app_name}/{number}" for number in numbers)
            goals |= dict.fromkeys((relation.remote_app_name, *names), goal)
        units = {f"{self.application}/{number}": goal for number in self.unit_data}
        return ops.hookcmds.GoalState(units=units, relations=related)

    def _state(self, number, relations, secrets):
        return testing.State(
            leader=number == self.leader,
            config=self.config,
            relations=relations,
            secrets=secrets,
            networks=self._networks(number),
            unit_status=self.statuses.get(number, testing.UnknownStatus()),
        )

    def _networks(self, number):
        machine = self.machines[number]
        # As Juju does: all that the machine has, sorted as text.
        listed = sorted(one.address for one in machine.held) or [machine.address]
        address = testing.BindAddress([testing.Address(one) for one in listed])
        return self._bound(number, address)

    def _bound(self, number, address):
        listed = [one.value for one in address.addresses]
        ingress = [self.translated[number]] if number in self.translated else listed
        return {
            testing.Network(name, bind_addresses=[address], ingress_addresses=ingress)
            for name in self.bindings
        }

    def _relations(self, number) -> dict[int, Any]:
        peers = testing.PeerRelation(
            "cluster",
            id=PEERS,
            local_unit_data=self.unit_data[number],
            local_app_data=self.app_data,
            peers_data={
                other: data
                for other, data in self.unit_data.items()
                if other != number and (number, other) not in self.unmet
            },
        )
        others = {
            one: dataclasses.replace(
                relation,
                local_unit_data=self.local.get((one, number), {}),
                local_app_data=self.local.get((one, "app"), {}),
            )
            for one, relation in self.relations.items()
        }
        return {PEERS: peers, **others}

    def _keep(self, number, after, relations):
        """Keep what a hook has left in these relations, and wake those who see it."""
        self.statuses[number] = after.unit_status
        for one in relations:
            left = after.get_relation(one)
            data = dict(left.local_unit_data), dict(left.local_app_data)
            if one != PEERS:
                self.local[one, number], self.local[one, "app"] = data
            elif data != (self.unit_data[number], self.app_data):
                self.unit_data[number], self.app_data = data
                self.wake(PEERS, number)

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


def fixtures(model: type[Model]):
    """Return the fixtures `deploy`, which deploys the charm with so many units and options, `one` and `three`: so many units of it.

    What many tests begin with is deployed once, and copied for each.
    """

    @cache
    def deployed(units):
        return model(units)

    @pytest.fixture
    def deploy():
        return lambda units=1, **options: model(units, options)

    @pytest.fixture
    def one():
        return deployed(1).copy()

    @pytest.fixture
    def three():
        return deployed(3).copy()

    return deploy, one, three


def defaults(charm: Path):
    """Return the fixture of the options as Juju gives them to the charm in a folder, which nobody has configured."""

    @pytest.fixture(scope="session")
    def given():
        options = yaml.safe_load((charm / "charmcraft.yaml").read_text())["config"]["options"]
        return {name: option["default"] for name, option in options.items()}

    return given
