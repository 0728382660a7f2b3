"""What is read of the databases' servers, in the words of OVS 3.5 as they were heard."""

import pytest

import raft
from openinfra_charm.machine import Result
from openinfra_charm.testing import MemoryMachine
from raft import NORTHBOUND, Raft

FOLLOWER = """\
543c
Name: OVN_Northbound
Cluster ID: 19cb (19cb5c2a-b886-4642-a049-ef03cca617e4)
Server ID: 543c (543ce69c-aa8a-42ff-988b-7462bf52dc5a)
Address: ssl:10.99.0.2:6643
Status: cluster member
Role: follower
Term: 2
Leader: e320
Vote: unknown

Election timer: 4000
Log: [2, 6]
Entries not yet committed: 0
Entries not yet applied: 0
Connections: ->0000 <-e320 (->6347)
Disconnections: 1
Servers:
    543c (543c at ssl:10.99.0.2:6643) (self)
    e320 (e320 at ssl:10.99.0.1:6643) last msg 186 ms ago
    6347 (6347 at ssl:10.99.0.3:6643) last msg 5384 ms ago
"""
CUT_OFF = """\
6347
Name: OVN_Northbound
Cluster ID: 19cb (19cb5c2a-b886-4642-a049-ef03cca617e4)
Server ID: 6347 (6347f95e-b45b-409e-a975-3b166c1f5210)
Address: ssl:10.99.0.3:6643
Status: disconnected from the cluster (election timeout)
Role: candidate
Term: 5
Leader: unknown
Vote: self

Election timer: 1000
Log: [2, 10]
Connections: (->543c) (->e320)
Disconnections: 0
Servers:
    543c (543c at ssl:10.99.0.2:6643)
    e320 (e320 at ssl:10.99.0.1:6643) last msg 918 ms ago
    6347 (6347 at ssl:10.99.0.3:6643) (self) (voted for 6347)
"""
JOINING = """\
32fe
Name: OVN_Northbound
Cluster ID: 9075 (90758fe9-90f8-4a14-ac39-dcd23272bbe1)
Server ID: 32fe (32fedf6a-ee1b-4291-9d9a-3656f1769154)
Address: ssl:10.99.0.4:6643
Status: joining cluster
Remotes for joining: ssl:10.99.0.1:6643
Role: follower
Term: 0
Leader: unknown
Vote: unknown

Election timer: 1000
Log: [1, 1]
Connections: (->0000)
Disconnections: 0
Servers:
"""


def answering(code, stdout="", stderr=""):
    """Return the database on a machine whose server answers so."""
    machine = MemoryMachine()
    machine.handlers["ovn-appctl"] = lambda argv, _: Result(code=code, stdout=stdout, stderr=stderr)
    return machine, Raft(machine, NORTHBOUND)


def test_a_member_that_opened_a_connection_counts_the_one_that_came_back():
    """What a follower has opened may not say yet to whom."""
    status = raft.parse_status(FOLLOWER)
    assert (status.serves, status.leads, status.timer) == (True, False, 4000)
    assert status.reachable == 2
    assert {one.prefix: one.is_connected for one in status.servers} == {
        "543c": True,
        "e320": True,
        "6347": False,
    }
    assert status.server == "543ce69c-aa8a-42ff-988b-7462bf52dc5a"
    assert status.has("6347f95e-b45b-409e-a975-3b166c1f5210")
    assert not status.has("63481111-b45b-409e-a975-3b166c1f5210")


def test_a_member_without_a_quorum_is_a_member():
    status = raft.parse_status(CUT_OFF)
    assert (status.is_member, status.serves, status.reachable, len(status.servers)) == (True, False, 1, 3)


def test_a_server_that_joins_is_no_member_yet():
    status = raft.parse_status(JOINING)
    assert (status.is_member, status.serves, status.servers) == (False, False, ())
    assert status.state == raft.JOINING


def test_a_server_that_was_removed_knows_no_cluster():
    _, database = answering(2, stderr="unknown cluster\novn-appctl: server returned an error")
    status = database.status()
    assert status is not None
    assert status.has_left


def test_a_server_that_was_removed_does_not_start_again_and_its_file_says_why():
    machine, database = answering(1, stderr="cannot connect")
    assert database.status() is None
    machine.have(NORTHBOUND.path, "OVSDB CLUSTER")
    said = f"{NORTHBOUND.path}: record 4 shows that the server left the cluster\n"
    machine.handlers["ovsdb-tool"] = lambda argv, _: said if argv[1] == "check-cluster" else None
    status = database.status()
    assert status is not None
    assert status.has_left


def test_what_was_compacted_a_moment_ago_is_compact():
    answering(2, stderr="ovsdb error: not storing a duplicate snapshot")[1].compact()
    with pytest.raises(raft.DatabaseError, match="the northbound database: no room"):
        answering(2, stderr="no room")[1].compact()


@pytest.mark.parametrize(("members", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_majority(members, needed):
    assert raft.majority(members) == needed


def test_an_ipv6_address_stands_in_brackets():
    assert NORTHBOUND.remote("fd00::5") == "ssl:[fd00::5]:6643"
