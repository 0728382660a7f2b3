"""Components of the charm alone, each with stand-ins for what it is given."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import ops
import pytest

import members
from openinfra_charm.model.addresses import Place
from options import Options
from report import Report
from survivors import Survivors


@dataclass
class _Peers:
    """The peer relation as one unit sees it."""

    shared: dict[str, Any] = field(default_factory=dict)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    units: list[str] = field(default_factory=lambda: ["ceph/0", "ceph/1"])
    lost: tuple[str, ...] = ()

    def facts(self, unit):
        return self.told.get(unit, {})

    def publish(self, **facts):
        self.told.setdefault("ceph/0", {}).update(facts)

    def publish_shared(self, **facts):
        self.shared.update(facts)

    def gone(self, units):
        return [unit for unit in sorted(units) if unit in self.lost]


@dataclass
class _Monitors:
    """The cluster's monitors: what they answer, and what they were sent."""

    answers: dict[str, Any] = field(default_factory=dict)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def command(self, prefix, **arguments):
        self.sent.append((prefix, arguments))
        return self.answers.get(prefix)


# Each is something else to those who get it.
stand_in: Any = SimpleNamespace
Peers: Any = _Peers
Monitors: Any = _Monitors


def unit(*, leads=True):
    return stand_in(name="ceph/0", is_leader=lambda: leads)


# Options


@pytest.mark.parametrize(
    ("leads", "founds", "sets"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_options_are_set_by_the_leader_or_the_founder(leads, founds, sets):
    peers, monitors = Peers(), Monitors()
    Options(unit(leads=leads), cluster=peers, admin=monitors).apply({"osd/memory": "1"}, founds=founds)
    assert monitors.sent == ([("config set", {"who": "osd", "name": "memory", "value": "1"})] if sets else [])
    assert peers.shared == ({"options": {"osd/memory": "1"}} if leads else {})


def test_only_what_has_changed_is_set_and_what_is_not_wanted_is_unset():
    peers, monitors = Peers(shared={"options": {"osd/a": "1", "osd/b": "1", "mon/c": "1"}}), Monitors()
    Options(unit(), cluster=peers, admin=monitors).apply({"osd/a": "1", "osd/b": "2"})
    assert monitors.sent == [
        ("config set", {"who": "osd", "name": "b", "value": "2"}), ("config rm", {"who": "mon", "name": "c"}),
    ]  # fmt: skip


# Where a unit is


def publish(peers, address, *, is_bound):
    place = Place(address=address, interface="eth0", subnets=("10.0.0.0/24",), ingress=address)
    addresses = stand_in(find=lambda _binding, **_: place)
    return members.publish(
        peers, "ceph/0", addresses=addresses, hostname="machine-0", version="18.2.7", is_bound=is_bound
    )  # fmt: skip


def test_a_unit_without_a_monitor_may_move():
    peers = Peers(told={"ceph/0": {"public_address": "10.0.0.10"}})
    assert publish(peers, "10.0.0.20", is_bound=False) is None
    assert peers.told["ceph/0"]["public_address"] == "10.0.0.20"


def test_the_address_of_a_monitor_is_not_replaced():
    peers = Peers(told={"ceph/0": {"public_address": "10.0.0.10"}})
    status = publish(peers, "10.0.0.20", is_bound=True)
    assert isinstance(status, ops.BlockedStatus)
    assert status.message.startswith("the address of ceph/0 was 10.0.0.10 and is 10.0.0.20 now")
    assert peers.told["ceph/0"]["public_address"] == "10.0.0.10"
    assert peers.told["ceph/0"]["cluster_address"] == "10.0.0.20"


# Status

HEALTHY = {"health": {"status": "HEALTH_OK", "checks": {}}, "osdmap": {"num_osds": 3}}


def statuses(*, failed=(), jobs=(), paused=False, answer=None, peers=None, **asked):
    monitors = Monitors({"status": answer or HEALTHY, "osd pool ls": [], "osd crush rule dump": []})
    ceph = stand_in(admin=monitors, services=stand_in(failed=lambda: list(failed)))
    recorded = stand_in(unfinished=lambda: jobs, failed=lambda _seconds: [])
    pause: Any = stand_in(status=ops.MaintenanceStatus("paused")) if paused else False
    report = Report(unit(), ceph=ceph, cluster=peers or Peers(), jobs=recorded, pause=pause)
    return list(report.statuses(**asked))


def test_a_unit_that_is_well_has_nothing_to_say():
    assert statuses() == [ops.ActiveStatus("")]


def test_a_paused_unit_asks_no_monitor():
    assert statuses(paused=True, answer="none") == [ops.MaintenanceStatus("paused")]


def test_all_reasons_are_given():
    found = statuses(
        failed=("ceph-osd@3.service",), problems=("glance wants its key",), waiting=("ceph-rgw",),
        peers=Peers(told={name: {"absent_devices": ["/dev/sdz"]} for name in ("ceph/0", "ceph/1")}),
    )  # fmt: skip
    dead, plain, well = (status.message for status in found)
    assert dead.startswith("ceph-osd@3 does not run; see juju ssh ceph/0 journalctl -u ceph-osd@3; ")
    assert plain == "glance wants its key"
    assert well == (
        "ceph-rgw waits for as many OSDs as osd-pool-default-min-size says, see add-disk; osd-devices: no unit has /dev/sdz"
    )


# Who is gone


@pytest.mark.parametrize(
    ("lost", "in_quorum", "alone"),
    [(("ceph/1",), False, True), (("ceph/1",), True, False), ((), False, False)],
)
def test_the_last_monitor_goes_on_alone_only_without_a_quorum_and_when_the_others_are_gone(
    lost, in_quorum, alone
):
    started = []
    peers = Peers(shared={"monitors": ["ceph/0", "ceph/1"], "hosts": {"ceph/1": "machine-1"}}, lost=lost)
    survivors = Survivors(
        unit(leads=False),
        cluster=peers,
        members=cast("Any", {"ceph/1": stand_in(monitor=True)} if not lost else {}),
        ceph=stand_in(monitor=stand_in(exists=True, in_quorum=lambda: in_quorum)),
        jobs=stand_in(start=lambda module, **arguments: started.append((module, arguments))),
    )
    survivors.go_on_alone()
    assert started == ([("jobs.go_on_alone", {"hosts": "machine-1"})] if alone else [])
