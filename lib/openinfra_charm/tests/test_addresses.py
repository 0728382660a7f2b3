"""A unit's own addresses: asked in one place, known still when Juju does not say them."""

import ops
import pytest
from ops import testing
from scenario import mocking

from openinfra_charm.model.addresses import Addresses, Place
from openinfra_charm.testing import MemoryMachine

RECORD = "/var/lib/openinfra/kept/addresses.json"


class Asking(ops.CharmBase):
    """Asks for the address of its only binding in each hook."""

    def __init__(self, framework):
        super().__init__(framework)
        for event in (self.on.update_status, self.on["peer"].relation_broken):
            framework.observe(event, self._ask)

    def _ask(self, _):
        self.found = Addresses(self.model, MACHINES[-1], self.app.name).find("peer")


MACHINES = []


@pytest.fixture
def machine():
    MACHINES.append(MemoryMachine())
    yield MACHINES[-1]
    MACHINES.clear()


@pytest.fixture
def context():
    meta = {"name": "kept", "requires": {"peer": {"interface": "any"}}}
    return testing.Context(Asking, meta=meta, app_name="kept")


def _find(context, event, relation, *, addresses):
    bound = testing.BindAddress([testing.Address(one) for one in addresses], interface_name="eth0")
    network = testing.Network("peer", bind_addresses=[bound], ingress_addresses=addresses)
    state = testing.State(relations={relation}, networks={network})
    with context(event, state) as manager:
        manager.run()
        return manager.charm.found


def test_juju_says_it(context, machine):
    found = _find(context, context.on.update_status(), testing.Relation("peer"), addresses=["10.0.0.11"])
    assert found == Place(address="10.0.0.11", interface="eth0", subnets=found.subnets, ingress="10.0.0.11")


def test_a_relation_that_is_gone_takes_no_address_away(context, machine, monkeypatch):
    relation = testing.Relation("peer")
    known = _find(context, context.on.update_status(), relation, addresses=["fd00::11"])

    def refuse(*_):
        raise ops.RelationNotFoundError

    monkeypatch.setattr(mocking._MockModelBackend, "network_get", refuse)
    assert _find(context, context.on.relation_broken(relation), relation, addresses=["fd00::11"]) == known


def test_nothing_is_known_where_juju_has_never_said_it(context, machine, monkeypatch):
    def refuse(*_):
        raise ops.RelationNotFoundError

    relation = testing.Relation("peer")
    monkeypatch.setattr(mocking._MockModelBackend, "network_get", refuse)
    assert _find(context, context.on.relation_broken(relation), relation, addresses=["10.0.0.11"]) is None


def test_what_is_known_is_written_once(context, machine):
    relation = testing.Relation("peer")
    for _ in range(2):
        _find(context, context.on.update_status(), relation, addresses=["10.0.0.11"])
    assert machine.log == [f"write {RECORD}"]
