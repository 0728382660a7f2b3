"""Components of the charm alone: who is a member, who takes the writes, where a restore stands, whether a unit may leave."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import ops
import pytest

from departure import Departure, UnsafeToRemoveError
from membership import Membership
from mysql import Node
from openinfra_charm.testing import MemoryMachine
from restore import BEGIN, COPY, PREPARE, STOP, SWAP, Restoration
from state import Members
from transport import COPIES, REQUIRED, Transport


class Cluster:
    """The peer relation: what the leader has published, and each unit, by number; `gone` are units that the model has not."""

    def __init__(self, units=3, gone=(), dying=(), **shared):
        self.published = {f"mysql/{n}": self.of(n) for n in range(units) if n not in gone}
        self.planned = [f"mysql/{n}" for n in range(units) if n not in gone]
        self.staying = [f"mysql/{n}" for n in range(units) if n not in (*gone, *dying)]
        self.shared = {"members": [[f"mysql/{n}", f"10.1.0.{n}"] for n in range(units)], **shared}

    @staticmethod
    def of(number):
        address = f"10.0.0.{number}"
        return {"client_address": address, "cluster_address": f"10.1.0.{number}", "joined": True}

    @property
    def units(self):
        return sorted(self.published)

    def facts(self, unit):
        return self.published.get(unit, {})

    recall = facts

    def gone(self, units):
        return [unit for unit in units if unit not in self.planned]

    def publish(self, **facts):
        _put(self.published["mysql/0"], facts)

    def publish_shared(self, **facts):
        _put(self.shared, facts)


def _put(data, facts):
    for key, fact in facts.items():
        data[key] = fact
        if fact is None:
            del data[key]


def node(*numbers, **how):
    said = {"ready": True, "primary": True, "state": "Synced", "size": len(numbers), "committed": 7} | how
    return Node(addresses=tuple(f"10.0.0.{number}:3306" for number in numbers), **said)


@pytest.fixture
def restoration():
    """Return a function that makes the restoration of unit 0."""

    def make(cluster, **parts):
        parts = {
            "mysql": SimpleNamespace(machine=None),
            "jobs": None,
            "schedule": None,
            "clients": None,
        } | parts
        return Restoration(cluster=cluster, members=Members(cluster, "mysql/0"), **parts)

    return make


@pytest.fixture
def membership(restoration):
    """Return a function that makes the membership of unit 0."""

    def make(cluster, **parts):
        mysql = SimpleNamespace(application="mysql", node=lambda: None)
        parts = {"mysql": mysql, "transport": None, "restoration": restoration(cluster)} | parts
        return Membership(cluster=cluster, members=Members(cluster, "mysql/0"), **parts)

    return make


# Who founds the cluster


def test_only_the_leader_names_the_cluster_and_it_is_founded_by_a_later_hook(membership):
    cluster = Cluster(units=1)
    del cluster.shared["members"]
    assert membership(cluster).found(is_leader=False) == ops.WaitingStatus(
        "for the leader to name the cluster"
    )
    assert cluster.shared == {}
    assert membership(cluster).found(is_leader=True).message.startswith("for Juju to record")
    assert cluster.shared.keys() == {"cluster-id", "founder", "members"}
    assert membership(cluster).found(is_leader=True) is None


# Who takes the writes


@pytest.mark.parametrize(
    ("writer", "leaving", "answers", "chosen"),
    [
        (None, (), node(0, 1, 2), "mysql/0"),
        ("mysql/1", (), node(0, 1, 2), "mysql/1"),
        ("mysql/1", (), node(0, 2), "mysql/0"),
        ("mysql/1", (1,), node(0, 1, 2), "mysql/0"),
        ("mysql/1", (0, 1, 2), node(0, 1, 2), "mysql/1"),
        ("mysql/1", (), node(0, 1, 2, state="Joining"), None),
        ("mysql/1", (), node(0, 1, 2, primary=False), None),
        ("mysql/1", (), None, None),
    ],
)
def test_the_recorded_member_takes_the_writes_as_long_as_it_can(membership, writer, leaving, answers, chosen):
    cluster = Cluster(**({"writer": writer} if writer else {}))
    for number in leaving:
        cluster.published[f"mysql/{number}"]["leaving"] = True
    asked = membership(cluster)
    asked.node = answers
    found = asked.writer()
    assert (found.unit if found else None) == chosen


# Who is a member


def lead(membership, cluster, **how):
    asked = membership(cluster)
    asked.lead(SimpleNamespace(recovery=asked.members.recovery), serves=how.get("serves", True))
    return [unit for unit, _ in cluster.shared["members"]]


def test_one_that_is_gone_from_the_model_is_a_member_no_more_once_somebody_serves_without_it(membership):
    cluster = Cluster(gone=[2], founded=True)
    assert lead(membership, cluster, serves=False) == ["mysql/0", "mysql/1", "mysql/2"]
    cluster.published["mysql/1"]["outlived"] = ["mysql/2"]
    assert lead(membership, cluster, serves=False) == ["mysql/0", "mysql/1"]


def test_members_come_one_after_another(membership):
    cluster = Cluster(units=3, founded=True)
    cluster.shared["members"] = cluster.shared["members"][:1]
    for unit in ("mysql/1", "mysql/2"):
        del cluster.published[unit]["joined"]
    assert lead(membership, cluster) == ["mysql/0", "mysql/1"]
    assert lead(membership, cluster) == ["mysql/0", "mysql/1"]
    cluster.published["mysql/1"]["joined"] = True
    assert lead(membership, cluster) == ["mysql/0", "mysql/1", "mysql/2"]


def test_a_founder_that_is_gone_before_anybody_was_served_is_replaced(membership):
    cluster = Cluster(units=2, founder="mysql/1")
    cluster.shared["members"] = [["mysql/1", "10.1.0.1"]]
    del cluster.published["mysql/1"], cluster.published["mysql/0"]["joined"]
    cluster.planned = ["mysql/0"]
    assert lead(membership, cluster, serves=False) == ["mysql/0"]
    assert cluster.shared["founder"] == "mysql/0"


def test_the_operator_is_given_the_command_that_goes_on_without_the_missing(membership):
    cluster = Cluster()
    for number, seqno in ((0, 5), (1, 8)):
        position = {"seqno": seqno, "uuid": "u", "safe": False, "after": 0}
        cluster.published[f"mysql/{number}"]["position"] = position
    asked = membership(cluster)
    assert asked.lacking == ["mysql/2"]
    assert asked._awaited().message.endswith("force-bootstrap unit=mysql/1 confirm=mysql/2")


# A restore


def restore_of(phase, unit="mysql/0"):
    return {"number": 1, "backup": "b", "unit": unit, "phase": phase}


def said(cluster, state, *numbers):
    for number in numbers:
        cluster.published[f"mysql/{number}"]["restored"] = {"number": 1, "state": state}


@pytest.mark.parametrize(
    ("phase", "done", "following", "stops"),
    [
        (PREPARE, ("ready", (0,)), STOP, False),
        (PREPARE, ("", ()), PREPARE, False),
        (STOP, ("stopped", (0, 1)), STOP, True),
        (STOP, ("stopped", (0, 1, 2)), SWAP, True),
        (SWAP, ("in place", (0,)), BEGIN, True),
        (BEGIN, ("aside", (1,)), BEGIN, False),
        (BEGIN, ("aside", (1, 2)), COPY, False),
        (COPY, ("copied", (0, 1)), COPY, False),
        (COPY, ("copied", (0, 1, 2)), None, False),
    ],
)
def test_a_restore_goes_on_when_all_that_a_phase_needs_is_there(restoration, phase, done, following, stops):
    made = []
    cluster = Cluster(restore=restore_of(phase))
    said(cluster, done[0], *done[1])
    asked = restoration(cluster, clients=SimpleNamespace(make_anew=lambda: made.append(True)))
    assert asked.lead(serves=True) == stops
    assert cluster.shared.get("restore", {}).get("phase") == following
    assert bool(made) == (phase == BEGIN and following == COPY)
    if phase == SWAP:
        assert cluster.shared["recovery"] == {"unit": "mysql/0", "number": 1, "begin": True}


def test_one_that_cannot_be_prepared_or_whose_unit_is_gone_is_abandoned(restoration):
    failed, lost = (
        Cluster(restore=restore_of(PREPARE)),
        Cluster(gone=[1], restore=restore_of(STOP, "mysql/1")),
    )
    said(failed, "failed", 0)
    for number in (0, 2):
        position = {"seqno": 5, "uuid": "u", "safe": False, "after": 0}
        lost.published[f"mysql/{number}"]["position"] = position
    for cluster in (failed, lost):
        restoration(cluster).lead(serves=False)
        assert "restore" not in cluster.shared
        assert cluster.shared["abandoned"] == 1


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (PREPARE, "restoring b: mysql/0 prepares the data; clients are served meanwhile"),
        (STOP, "restoring b: waiting for mysql/1, mysql/2 to stop"),
        (COPY, "restoring b: clients are served; waiting for mysql/0, mysql/1, mysql/2 to copy the data"),
    ],
)
def test_the_operator_reads_what_a_restore_waits_for(restoration, phase, words):
    cluster = Cluster(restore=restore_of(phase))
    said(cluster, "stopped", 0)
    assert restoration(cluster).progress == words
    assert not restoration(Cluster()).progress


# TLS


@pytest.mark.parametrize(
    ("certified", "encrypted", "clients_know", "phase"),
    [
        ((0, 1), (), True, None),
        ((0, 1, 2), (0, 1), True, COPIES),
        ((0, 1, 2), (0, 1, 2), False, COPIES),
        ((0, 1, 2), (0, 1, 2), True, REQUIRED),
    ],
)
def test_clear_is_refused_when_all_members_and_clients_are_ready(certified, encrypted, clients_know, phase):
    cluster: Any = Cluster()
    for key, numbers in (("certified", certified), ("encrypted", encrypted)):
        for number in numbers:
            cluster.published[f"mysql/{number}"][key] = True
    parts: Any = dict.fromkeys(("model", "endpoint", "mysql"))
    transport = Transport(cluster=cluster, members=Members(cluster, "mysql/0"), **parts)
    transport.lead(clients_know=clients_know)
    assert cluster.shared.get("tls") == phase


# A unit that leaves


@dataclasses.dataclass
class Server:
    """MariaDB of a unit that leaves."""

    machine: MemoryMachine = dataclasses.field(default_factory=lambda: MemoryMachine("machine-0"))
    application: str = "mysql"
    receives_copy: bool = False
    has_history: bool = True
    said: Node | None = None
    stopped: bool = False

    def node(self):
        return self.said

    def stop(self):
        self.stopped = True


def departure(cluster, server, synced=(), *, does_without=False):
    others: Any = {
        "health_service": SimpleNamespace(is_synced=lambda address, _ca: address in synced),
        "restoration": SimpleNamespace(does_without=does_without),
    }
    members = Members(cluster, "mysql/0")
    return Departure(cluster=cluster, members=members, mysql=server, ca_path="/ca.pem", **others)


def test_a_unit_goes_when_one_that_stays_has_all_data():
    server, cluster = Server(), Cluster(dying=[0])
    assert "none of the units that stay (mysql/1, mysql/2)" in (departure(cluster, server).why_not() or "")
    assert departure(cluster, server, ["10.0.0.2"]).why_not() is None
    assert departure(cluster, server, does_without=True).why_not() is None
    assert departure(Cluster(dying=[0, 1, 2]), server).why_not() is None


def test_units_that_the_relation_does_not_show_any_more_are_asked_where_they_were_last():
    server, cluster = Server(), Cluster(dying=[0])
    departure(cluster, server).remember()
    cluster.published = {"mysql/0": cluster.published["mysql/0"]}
    assert departure(cluster, server, ["10.0.0.1"]).why_not() is None


def test_who_gives_a_copy_stays_and_who_has_no_data_goes():
    cluster = Cluster(dying=[0])
    giving = Server(said=node(0, 1, state="Donor/Desynced"))
    assert departure(cluster, giving, ["10.0.0.1"]).why_not() == (
        "another unit is just copying its data from this one"
    )
    del cluster.published["mysql/0"]["joined"]
    assert departure(cluster, Server(has_history=False)).why_not() is None


def test_a_hook_waits_for_a_copy_and_fails_before_it_takes_too_long():
    server, cluster, synced = Server(), Cluster(dying=[0]), []
    leaving = departure(cluster, server, synced)
    with pytest.raises(UnsafeToRemoveError, match="juju remove-unit --force mysql/0"):
        leaving.leave()
    assert not server.stopped
    synced.append("10.0.0.1")
    leaving.leave()
    assert server.stopped
