"""Units of the charm on machines in memory, related to a Ceph that answers what they ask."""

import json
from collections import deque
from datetime import UTC, datetime
from typing import Any

import ops
import ops.hookcmds
import programs
import pytest
from ops import testing

from charm import CephFsCharm
from openinfra_charm.machine import use
from openinfra_charm.testing import MemoryMachine

PEERS, CEPH = 1, 2
HOOK_SECONDS = 60


class MdsMachine(MemoryMachine):
    """A machine with the metadata server's twin and one address."""

    def __init__(self, filesystem, number):
        super().__init__(f"machine-{number}")
        self.address = f"10.0.0.{number + 10}"
        self.mds = programs.MdsSoftware(filesystem, self, self.address)
        self.bring(self.mds)


class Model:
    """Units of the charm, each on a machine of its own."""

    def __init__(self, units=1, options=None, *, relations=(CEPH,)):
        self.context = testing.Context(CephFsCharm, app_name="ceph-fs")
        self.filesystem = programs.Filesystem()
        self.config = dict(options or {})
        self.machines = {}
        self.unit_data = {}
        self.app_data = {}
        self.ceph_app, self.ceph_unit = {}, {}
        """What Ceph says."""
        self.related = set(relations)
        self.local = {}
        self.secrets = []
        self.statuses: dict[int, Any] = {}
        self._due = deque()
        for _ in range(units):
            self.add_unit()

    @property
    def on(self):
        return self.context.on

    def _goal_state(self):
        goal = ops.hookcmds.Goal(status="active", since=datetime.now(tz=UTC))
        units = {f"ceph-fs/{number}": goal for number in self.unit_data}
        return ops.hookcmds.GoalState(units=units, relations={})

    def add_unit(self):
        number = len(self.machines)
        self.machines[number] = MdsMachine(self.filesystem, number)
        self.unit_data[number] = {}
        self.run(number, self.on.install(), formed=False)
        self.run(number, self.on.config_changed())
        self.settle()

    def settle(self):
        """Have Ceph answer, and all units see it, until nothing is new."""
        while self._ceph_answers():
            self.update_status()

    def update_status(self):
        for number in list(self.unit_data):
            self.run(number, self.on.update_status())

    def configure(self, **options):
        self.config |= {name.replace("_", "-"): value for name, value in options.items()}
        for number in list(self.unit_data):
            self.run(number, self.on.config_changed())
        self.settle()

    def action(self, number, name, /, **params):
        """Run an action; return its results, the lists in them decoded."""
        params = {key.replace("_", "-"): value for key, value in params.items()}
        self.run(number, self.on.action(name, params=params))
        results = dict(self.context.action_results or {})
        return results | ({"result": json.loads(results["result"])} if "result" in results else {})

    def refuse(self, number, name, /, **params):
        """Run an action that fails and must not have changed anything; return its words."""
        machine = self.machines[number]
        machine.log.clear()
        before = self.known()
        with pytest.raises(testing.ActionFailed) as refused:
            self.action(number, name, **params)
        assert (machine.log, self.known()) == ([], before)
        return refused.value.message

    def known(self):
        """Return what the file system knows of volumes and keys."""
        return repr((self.filesystem.volumes, self.filesystem.keys))

    def _ceph_answers(self):
        changed = False
        for number in self.unit_data if CEPH in self.related else ():
            asked = self.local.get(number, {})
            if not asked.get("broker_req"):
                continue
            request = json.loads(asked["broker_req"])
            key = f"secret-key-ceph-fs-{number}"
            if key not in self.ceph_app:
                secret = testing.Secret({"key": f"cephx-key-{number}"}, owner=None)
                self.secrets.append(secret)
                self.ceph_app[key] = secret.id
            answer = json.dumps({"api-version": 1, "exit-code": 0, "request-id": request["request-id"]})
            if self.ceph_unit.get(f"broker-rsp-ceph-fs-{number}") != answer:
                told = {"fsid": "fsid-1", "auth": "cephx", "ceph-public-address": "10.0.0.1"}
                self.ceph_unit |= {**told, f"broker-rsp-ceph-fs-{number}": answer}
                changed = True
        return changed

    def run(self, number, event, *, formed=True, relation=PEERS):
        """Play one hook or action, and then the hooks of the others that follow from it."""
        self._play(number, event, formed=formed, relation=relation)
        while self._due:
            other, changed = self._due.popleft()
            if other in self.unit_data and changed in self.unit_data:
                self._play(
                    other, lambda peers, unit=changed: self.on.relation_changed(peers, remote_unit=unit)
                )

    def _play(self, number, event: Any, *, formed=True, relation=PEERS):
        relations = self._relations(number) if formed else {}
        self.context.unit_id = number
        machine = self.machines[number]
        address = testing.BindAddress([testing.Address(machine.address)])
        state = testing.State(
            leader=number == 0,
            config=self.config,
            unit_status=self.statuses.get(number, testing.UnknownStatus()),
            relations=set(relations.values()),
            secrets=self.secrets,
            networks={testing.Network("public", bind_addresses=[address])},
        )
        with pytest.MonkeyPatch.context() as patched, use(machine), machine.waiting(HOOK_SECONDS):
            # The hook tool that ops.testing does not play.
            patched.setattr(ops.hookcmds, "goal_state", self._goal_state)
            chosen: Any = event(relations.get(relation)) if callable(event) else event
            after = self.context.run(chosen, state)
        self.statuses[number] = after.unit_status
        if CEPH in relations:
            self.local[number] = dict(after.get_relation(CEPH).local_unit_data)
            self.local["app"] = dict(after.get_relation(CEPH).local_app_data)
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
        ceph = testing.Relation(
            "ceph",
            id=CEPH,
            remote_app_name="ceph",
            remote_app_data=self.ceph_app,
            remote_units_data={0: self.ceph_unit},
            local_unit_data=self.local.get(number, {}),
            local_app_data=self.local.get("app", {}),
        )
        return {PEERS: peers} | ({CEPH: ceph} if CEPH in self.related else {})

    def _keep(self, number, relation):
        unit_data, app_data = dict(relation.local_unit_data), dict(relation.local_app_data)
        changed = (unit_data, app_data) != (self.unit_data[number], self.app_data)
        self.unit_data[number], self.app_data = unit_data, app_data
        for other in self.unit_data if changed else ():
            if other != number and (other, number) not in self._due:
                self._due.append((other, number))

    def snapshot(self):
        """Return all that relations hold."""
        return json.dumps(
            [self.app_data, self.unit_data, sorted(map(str, self.local.items()))], sort_keys=True
        )
