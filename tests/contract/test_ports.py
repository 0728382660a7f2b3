"""docs/ports.md lists every port, and no two applications want the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest

from .test_charms import is_an_openstack_api

ROOT = Path(__file__).parents[2]
HEAD = ["Port", "Protocol", "Application", "Process", "Binding", "Purpose"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    ports: range
    protocol: str
    application: str
    bindings: list[str]

    def __str__(self) -> str:
        return f"{self.application} {self.ports.start}-{self.ports.stop - 1}/{self.protocol}"


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


@pytest.fixture(scope="module")
def rows():
    head, _, *body = [
        cells(line) for line in (ROOT / "docs/ports.md").read_text().splitlines() if line.startswith("|")
    ]
    assert head == HEAD
    found = []
    for port, protocol, application, process, binding, purpose in body:
        assert process, port
        assert purpose, port
        first, _, last = port.partition("-")
        ports = range(int(first), int(last or first) + 1)
        bindings = binding.split(", ")
        found.append(Row(ports=ports, protocol=protocol, application=application, bindings=bindings))
    return found


def test_rows_are_sorted_and_legal(rows):
    assert [row.ports.start for row in rows] == sorted(row.ports.start for row in rows)
    for row in rows:
        assert row.protocol in {"tcp", "udp"}, row
        assert 0 < row.ports.start < row.ports.stop <= 65536, row


def test_applications_and_bindings_exist(rows, charms):
    for row in rows:
        assert row.application in charms, row
        charm = charms[row.application]
        for binding in row.bindings:
            assert binding in {"any", "loopback", *charm.endpoints, *charm.extra_bindings}, row


def test_what_others_do_not_reach_listens_on_the_loopback_address(rows):
    """Who listens there believes what it is told of clients, or asks nobody who he is."""
    inside = {row.application: row.ports.start for row in rows if row.bindings == ["loopback"]}
    assert inside.keys() == {"ceph-rgw", "rabbitmq"}
    port = inside["ceph-rgw"]
    source = (ROOT / "charms/ceph-rgw/src/state.py").read_text()
    assert f"DAEMON_PORT = {port}\n" in source
    assert 'LOOPBACK = f"127.0.0.1:{DAEMON_PORT}"' in (ROOT / "charms/ceph-rgw/src/ceph_rgw.py").read_text()
    broker = ROOT / "charms/rabbitmq/src"
    assert "prometheus.tcp.ip = 127.0.0.1\n" in (broker / "templates/rabbitmq.conf.j2").read_text()


def test_none_of_ours_is_one_that_outgoing_connections_get(rows):
    """Linux gives those ports from 32768 on, on every address."""
    assert max(row.ports.stop for row in rows) <= 32768


def test_no_two_applications_share_a_port(rows):
    for one, other in combinations(rows, 2):
        if one.protocol == other.protocol and one.application != other.application:
            assert not range(
                max(one.ports.start, other.ports.start), min(one.ports.stop, other.ports.stop)
            ), f"{one} and {other}"


def test_ports_that_a_charm_names_are_listed(rows, source):
    """What stands after a colon or the word port is one, in whatever file."""
    listed = {port for row in rows if row.application == source.name for port in row.ports}
    for path in source.path.glob("src/**/*"):
        if path.is_file() and "__pycache__" not in path.parts:
            named = re.findall(r"(?i)(?::|port[^0-9]{1,3})([0-9]{4,5})\b", path.read_text())
            assert {int(port) for port in named} <= listed, path


def test_an_openstack_apis_ports_are_listed(rows, source):
    """Those of its units, and the gateway's, where clients look for it."""
    text = (source.path / "src/charm.py").read_text()
    found = re.findall(r"\bPorts\(public=(\d+), backend=(\d+), proxied=(\d+)\)", text)
    assert bool(found) == is_an_openstack_api(source)
    for ports in (*found, *re.findall(r"\bListener\(public=(\d+), backend=(\d+)", text)):
        public, *own = map(int, ports)
        listed = {
            name: {port for row in rows if row.application == name for port in row.ports}
            for name in ("gateway", source.name)
        }
        assert public in listed["gateway"]
        assert set(own) <= listed[source.name]
