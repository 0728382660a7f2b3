"""A machine's monitor, asked on its own socket."""

import pytest

from ceph import Ceph
from openinfra_charm.testing import MemoryMachine

SOCKET = "/run/ceph/ceph-mon.machine-0.asok"


@pytest.mark.parametrize(
    ("answer", "is_in"),
    [
        (b'\0\0\0\x11{"state": "peon"}', True),
        (b'\0\0\0\x14{"state": "probing"}', False),
        (b"\0\0\0\x02{}", False),
        # One that is starting: it knows no commands yet.
        (b"\0\0\0\x1aERROR: command not found", False),
        (b"", False),
    ],
)
def test_quorum_is_what_the_monitor_says_of_itself(answer, is_in):
    machine = MemoryMachine()
    machine.streams[SOCKET] = lambda _: answer
    assert Ceph(machine, "ceph").monitor.in_quorum() is is_in
