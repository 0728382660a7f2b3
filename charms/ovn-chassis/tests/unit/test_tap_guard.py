"""The program that has Open vSwitch open again what it reads from no more."""

import importlib.util
import json
import socket
import threading
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).parents[2] / "src/files/tap-guard"
OPEN, ANEW, DOWN = 0x1103, 0x1003, 0x1102
"""Flags of an interface that Open vSwitch reads from, of another one of that name, and of one that nobody has set up."""


@pytest.fixture
def guard():
    loader = SourceFileLoader("tap_guard_program", str(PATH))
    spec: Any = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def interface(name, number: int | None = 1, *, kind="", guest=True, error=None, request=()):
    return {
        "_uuid": ["uuid", f"i-{name}"],
        "name": name,
        "type": kind,
        "ofport": ["set", []] if number is None else number,
        "ofport_request": ["set", list(request)],
        "error": ["set", [error] if error else []],
        "external_ids": ["map", [["iface-id", "abc"]] if guest else []],
    }


def database(*interfaces, bridge="br-int"):
    """Return what the database answers to the query, with these in one bridge."""
    inside = [["uuid", f"p-{one['name']}"] for one in interfaces]
    ports = [{"_uuid": ["uuid", f"p-{one['name']}"], "interfaces": one["_uuid"]} for one in interfaces]
    listed = inside[0] if len(inside) == 1 else ["set", inside]
    return [{"rows": [{"name": bridge, "ports": listed}]}, {"rows": ports}, {"rows": list(interfaces)}]


class World:
    """The kernel's interfaces and the database, as the program finds them."""

    def __init__(self, guard, monkeypatch, rows, **links):
        self.rows, self.links = rows, links
        self.queries, self.updates, self.set_up, self.said = 0, [], [], []
        monkeypatch.setattr(guard, "read_links", lambda: dict(self.links))
        monkeypatch.setattr(guard, "transact", self._transact)
        monkeypatch.setattr(guard.subprocess, "run", self._run)
        self.guard = guard.Guard("db.sock", self.said.append)

    def _transact(self, _, *operations):
        if operations[0]["op"] == "select":
            self.queries += 1
            return self.rows
        self.updates.append(operations)
        return [{}, {"count": 1}]

    def _run(self, argv, **_):
        self.set_up.append(argv)
        return type("Done", (), {"returncode": 0})


def test_another_interface_of_the_same_name_is_opened_again_and_keeps_its_record(guard, monkeypatch):
    rows = database(
        interface("tap1", 4), interface("tap2", 9, request=[12]), interface("br-int", 65534, kind="internal")
    )
    world = World(guard, monkeypatch, rows, tap1=(7, ANEW), tap2=(8, OPEN), lo=(1, 0x9))
    assert world.guard.look(0) == guard.SOON
    ((wait, update),) = world.updates
    assert (wait["op"], wait["rows"]) == ("wait", [{"ofport": 4}])
    assert update == {
        "op": "update",
        "table": "Interface",
        "where": [["_uuid", "==", ["uuid", "i-tap1"]]],
        "row": {"ofport_request": 13},
    }


def test_what_does_not_help_is_tried_again_later_and_a_newer_interface_at_once(guard, monkeypatch):
    world = World(guard, monkeypatch, database(interface("tap1")), tap1=(7, ANEW))
    world.guard.look(0)
    assert world.guard.look(1) == guard.AGAIN
    assert len(world.updates) == 1
    world.links["tap1"] = (8, ANEW)
    world.guard.look(2)
    assert len(world.updates) == 2
    world.guard.look(2 + guard.AGAIN)
    assert len(world.updates) == 3


def test_a_guests_interface_that_is_down_is_set_up_and_no_other(guard, monkeypatch):
    rows = database(interface("tap1", 1), interface("eth1", 2, guest=False))
    world = World(guard, monkeypatch, rows, tap1=(7, DOWN), eth1=(3, DOWN))
    world.guard.look(0)
    assert world.set_up == [["ip", "link", "set", "dev", "tap1", "up"]]
    assert world.updates == []


@pytest.mark.parametrize(
    "one",
    [
        interface("tap1", kind="internal"),
        interface("tap1", kind="geneve"),
        interface("tap1", -1, error="could not open network device tap1"),
        interface("tap1", None),
    ],
)
def test_what_open_vswitch_has_made_or_not_opened_yet_is_left_alone(guard, monkeypatch, one):
    world = World(guard, monkeypatch, database(one), tap1=(7, ANEW))
    world.guard.look(0)
    assert (world.updates, world.set_up) == ([], [])


def test_what_is_gone_is_left_alone(guard, monkeypatch):
    world = World(guard, monkeypatch, database(interface("tap1")))
    assert world.guard.look(0) == guard.PAUSE
    assert world.updates == []


def test_where_nothing_changes_the_database_is_rarely_read(guard, monkeypatch):
    world = World(guard, monkeypatch, database(interface("tap1")), tap1=(7, OPEN), eth0=(2, ANEW))
    for now in range(0, 60, 5):
        assert world.guard.look(now) == guard.PAUSE
    assert world.queries == 1
    world.guard.look(guard.WHOLE)
    assert world.queries == 2
    world.links["tap1"] = (8, ANEW)
    world.guard.look(guard.WHOLE + 1)
    assert len(world.updates) == 1


def test_what_is_being_opened_is_looked_at_again_soon(guard, monkeypatch):
    """Its flags may stay as they are when it has got its number: then it is another interface of that name."""
    world = World(guard, monkeypatch, database(interface("tap1", None)), tap1=(7, ANEW))
    assert world.guard.look(0) == guard.SOON
    world.rows = database(interface("tap1", 4))
    world.guard.look(1)
    assert len(world.updates) == 1


def test_numbers_with_a_meaning_are_not_given(guard):
    assert guard.unused(set()) == 1
    assert guard.unused({3, 65534, -1}) == 4
    assert guard.unused({guard.MOST_PORT, guard.MOST_PORT - 1}) == guard.MOST_PORT - 2


@pytest.fixture
def server(tmp_path):
    """Return a function that makes a database which answers once, in two parts; it returns the socket's path."""

    def serve(answer):
        path = str(tmp_path / "db.sock")
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen()

        def answer_once():
            connection, _ = listening.accept()
            connection.recv(1 << 16)
            text = json.dumps(answer).encode()
            connection.sendall(text[:5])
            connection.sendall(text[5:])
            connection.close()
            listening.close()

        threading.Thread(target=answer_once, daemon=True).start()
        return path

    return serve


def test_the_database_is_asked_through_its_socket(guard, server):
    path = server({"id": 0, "error": None, "result": [{"rows": []}]})
    assert guard.transact(path, {"op": "select"}) == [{"rows": []}]


@pytest.mark.parametrize(
    "answer",
    [
        {"id": 0, "error": "unknown database", "result": None},
        {"id": 0, "error": None, "result": [{"error": "timed out", "details": "wait"}, None]},
    ],
)
def test_what_the_database_refuses_is_said(guard, server, answer):
    with pytest.raises(guard.DatabaseError, match=r"unknown database|timed out: wait"):
        guard.transact(server(answer), {"op": "select"})
