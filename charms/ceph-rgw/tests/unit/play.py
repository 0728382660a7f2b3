"""Units of the charm on machines in memory, related to a Ceph and a CA that answer what they ask."""

import json
from collections import deque
from datetime import UTC, datetime
from typing import Any

import authority
import ops
import ops.hookcmds
import programs
import pytest
from ops import testing

from charm import CephRgwCharm
from openinfra_charm.machine import use
from openinfra_charm.testing import Cryptography, MemoryMachine

PEERS, CEPH, CERTIFICATES, GATEWAY, IDENTITY = 1, 2, 3, 4, 5
HOOK_SECONDS = 60


class RgwMachine(MemoryMachine):
    """A machine with the gateway's twin and one address."""

    def __init__(self, zone, number):
        super().__init__(f"machine-{number}")
        self.address = f"10.0.0.{number + 10}"
        self.rgw = programs.RgwSoftware(zone, self, self.address)
        self.bring(Cryptography())
        self.bring(self.rgw)


class Model:
    """Units of the charm, each on a machine of its own, related to a Ceph and a CA that answer what they ask."""

    def __init__(self, units=1, options=None, *, relations=(CEPH, CERTIFICATES)):
        self.context = testing.Context(CephRgwCharm, app_name="ceph-rgw")
        self.zone = programs.Zone()
        self.config = dict(options or {})
        self.machines = {}
        self.leader = 0
        self.unit_data = {}
        self.app_data = {}
        self.remote = {CEPH: {}, CERTIFICATES: {}, GATEWAY: {}, IDENTITY: {}}
        """What the other sides say in their application data."""
        self.remote_unit = {CEPH: {}}
        self.related = set(relations)
        self.local = {}
        self.secrets = {}
        self.statuses: dict[int, Any] = {}
        self.ca = authority.make("root", 1_000_000)
        self._due = deque()
        for _ in range(units):
            self.add_unit()

    @property
    def on(self):
        return self.context.on

    def _goal_state(self):
        goal = ops.hookcmds.Goal(status="active", since=datetime.now(tz=UTC))
        return ops.hookcmds.GoalState(
            units={f"ceph-rgw/{number}": goal for number in self.unit_data}, relations={}
        )

    # What an operator and the other applications do

    def add_unit(self):
        number = len(self.machines)
        self.machines[number] = RgwMachine(self.zone, number)
        self.unit_data[number] = {}
        self.run(number, self.on.install(), formed=False)
        self.run(number, self.on.config_changed())
        self.settle()

    def settle(self):
        """Have Ceph and the CA answer, and all units see it, until nothing is new."""
        while self._ceph_answers() | self._ca_answers():
            self.update_status()

    def update_status(self):
        for number in list(self.unit_data):
            self.run(number, self.on.update_status())

    def configure(self, **options):
        self.config |= {name.replace("_", "-"): value for name, value in options.items()}
        for number in list(self.unit_data):
            self.run(number, self.on.config_changed())
        self.settle()

    def relate(self, relation, **data):
        """Integrate with something that says this."""
        self.related.add(relation)
        self.remote[relation] |= data
        self.update_status()
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
        before = repr(self.zone)
        with pytest.raises(testing.ActionFailed) as refused:
            self.action(number, name, **params)
        assert (machine.log, repr(self.zone)) == ([], before)
        return refused.value.message

    def _ceph_answers(self):
        changed = False
        for number in self.unit_data if CEPH in self.related else ():
            asked = self.local.get((CEPH, number), {})
            key = f"secret-key-ceph-rgw-{number}"
            if not asked.get("broker_req") or key in self.remote[CEPH]:
                continue
            secret = testing.Secret({"key": f"cephx-key-{number}"}, owner=None)
            self.secrets[secret.id] = (secret, number)
            self.remote[CEPH][key] = secret.id
            request_id = json.loads(asked["broker_req"])["request-id"]
            answer = json.dumps({"api-version": 1, "exit-code": 0, "request-id": request_id})
            self.remote_unit[CEPH] |= {
                "fsid": "fsid-1", "auth": "cephx", "ceph-public-address": "10.0.0.1",
                f"broker-rsp-ceph-rgw-{number}": answer,
            }  # fmt: skip
            changed = True
        return changed

    def _ca_answers(self):
        if CERTIFICATES not in self.related:
            return False
        wanted = [
            entry["certificate_signing_request"]
            for number in self.unit_data
            for entry in json.loads(
                self.local.get((CERTIFICATES, number), {}).get("certificate_signing_requests", "[]")
            )
        ]
        known = {
            one["certificate_signing_request"]: one
            for one in json.loads(self.remote[CERTIFICATES].get("certificates", "[]"))
        }
        if set(wanted) <= set(known):
            return False
        now = self.machines[0].clock
        for csr in set(wanted) - set(known):
            certificate = self.ca.sign(csr, now)
            known[csr] = {
                "certificate_signing_request": csr, "certificate": certificate, "ca": self.ca.pem,
                "chain": [certificate, self.ca.pem],
            }  # fmt: skip
        self.remote[CERTIFICATES]["certificates"] = json.dumps(list(known.values()))
        return True

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

    def _play(self, number, event: Any, *, formed=True, relation=PEERS):
        relations = self._relations(number) if formed else {}
        self.context.unit_id = number
        machine = self.machines[number]
        address = testing.BindAddress([testing.Address(machine.address)])
        state = testing.State(
            leader=number == self.leader,
            config=self.config,
            unit_status=self.statuses.get(number, testing.UnknownStatus()),
            relations=set(relations.values()),
            secrets=[secret for secret, unit in self.secrets.values() if unit in {number, None}],
            networks={testing.Network("internal", bind_addresses=[address])},
        )
        with pytest.MonkeyPatch.context() as patched, use(machine), machine.waiting(HOOK_SECONDS):
            # The hook tool that ops.testing does not play.
            patched.setattr(ops.hookcmds, "goal_state", self._goal_state)
            chosen: Any = event(relations.get(relation)) if callable(event) else event
            after = self.context.run(chosen, state)
        self.statuses[number] = after.unit_status
        for secret in after.secrets:
            self.secrets[secret.id] = (secret, self.secrets[secret.id][1])
        for one in relations if formed else ():
            if one != PEERS:
                self.local[one, number] = dict(after.get_relation(one).local_unit_data)
                self.local[one, "app"] = dict(after.get_relation(one).local_app_data)
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
        names = {CEPH: "ceph", CERTIFICATES: "certificates", GATEWAY: "gateway", IDENTITY: "identity-service"}
        others = {
            one: testing.Relation(
                names[one],
                id=one,
                remote_app_name={IDENTITY: "keystone"}.get(one, names[one]),
                remote_app_data=self.remote[one],
                remote_units_data={0: self.remote_unit.get(one, {})},
                local_unit_data=self.local.get((one, number), {}),
                local_app_data=self.local.get((one, "app"), {}),
            )
            for one in self.related
        }
        return {PEERS: peers, **others}

    def _keep(self, number, relation):
        unit_data, app_data = dict(relation.local_unit_data), dict(relation.local_app_data)
        changed = (unit_data, app_data) != (self.unit_data[number], self.app_data)
        self.unit_data[number], self.app_data = unit_data, app_data
        for other in self.unit_data if changed else ():
            if other != number and (other, number) not in self._due:
                self._due.append((other, number))

    # What tests look at

    def snapshot(self):
        """Return all that relations hold."""
        return json.dumps(
            [self.app_data, self.unit_data, sorted(map(str, self.local.items()))], sort_keys=True
        )

    @property
    def shared(self):
        return {key: json.loads(value) for key, value in self.app_data.items()}
