"""The program that restarts a broker which a partition has left over."""

import contextlib
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PATH = Path(__file__).parents[2] / "src/files/rabbitmq-rejoin.py"
ZERO, ONE, TWO = (f"rabbit@rabbitmq-{number}" for number in range(3))


@pytest.fixture
def rejoin():
    spec: Any = importlib.util.spec_from_file_location("rabbitmq_rejoin", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("views", "node", "left"),
    [
        # As three nodes of RabbitMQ 4.0.5 were for an hour.
        ({ZERO: {ZERO}, ONE: {ONE, TWO}, TWO: {ONE, TWO}}, ZERO, True),
        ({ZERO: {ZERO}, ONE: {ONE, TWO}, TWO: {ONE, TWO}}, ONE, False),
        # All run together, or the others do not answer yet, or have not started.
        ({ZERO: {ZERO, ONE, TWO}, ONE: {ZERO, ONE, TWO}, TWO: {ZERO, ONE, TWO}}, ZERO, False),
        ({ZERO: {ZERO}}, ZERO, False),
        ({ZERO: {ZERO}, ONE: set(), TWO: set()}, ZERO, False),
        # One sees the other and is not seen yet: it has just come.
        ({ZERO: {ZERO}, ONE: {ZERO, ONE}}, ZERO, False),
        # Two halves, of two members or of those that are alive.
        ({ZERO: {ZERO}, ONE: {ONE}}, ZERO, False),
        ({ZERO: {ZERO}, ONE: {ONE}}, ONE, True),
    ],
)
def test_the_smaller_side_of_those_that_answer_is_restarted(rejoin, views, node, left):
    assert rejoin.is_left_over(views, node) is left


def test_who_is_connected_is_in_the_metrics(rejoin):
    metrics = f'erlang_vm_dist_node_state{{peer="{ONE}"}} 3\nerlang_vm_dist_node_state{{peer="{TWO}"}} 1\n'
    assert rejoin.connected(metrics) == {ONE}


@pytest.mark.parametrize(("looks", "restarts"), [([True, True], 1), ([True, False], 0), ([False], 0)])
def test_what_ends_by_itself_is_left_alone(rejoin, monkeypatch, looks, restarts):
    ran, slept = [], []
    monkeypatch.setattr(rejoin, "look", lambda _: looks.pop(0))
    monkeypatch.setattr(rejoin.time, "sleep", slept.append)
    monkeypatch.setattr(rejoin.subprocess, "run", lambda argv, **_: ran.append(argv))
    rejoin.heal(ZERO)
    assert ran == [["systemctl", "restart", "rabbitmq-server.service"]] * restarts
    assert looks == []


@pytest.fixture
def brokers(rejoin, monkeypatch):
    """Those that answer, by what each runs with, and who the first one is connected to; what was asked of which is kept."""
    known = SimpleNamespace(views={}, alive="", asked=[])

    def run(argv, **_):
        node = argv[2].removeprefix("--node=")
        known.asked.append(node)
        view = known.views.get(node)
        said = json.dumps({"running_nodes": view})
        return SimpleNamespace(returncode=69 if view is None else 0, stdout=said)

    def answer(*_, **__):
        if not known.alive:
            raise ConnectionRefusedError
        return contextlib.nullcontext(SimpleNamespace(read=known.alive.encode))

    monkeypatch.setattr(rejoin.subprocess, "run", run)
    monkeypatch.setattr(rejoin.urllib.request, "urlopen", answer)
    return known


def test_those_that_a_broker_does_not_run_with_are_asked(rejoin, brokers):
    brokers.alive = "".join(f'erlang_vm_dist_node_state{{peer="{one}"}} 3\n' for one in (ONE, TWO))
    brokers.views = {ZERO: [ZERO], ONE: [ONE, TWO], TWO: [ONE, TWO]}
    assert rejoin.look(ZERO) is True
    brokers.views = {ZERO: [ZERO]}
    assert rejoin.look(ZERO) is False
    brokers.asked.clear()
    brokers.views = {ZERO: [ZERO, ONE, TWO]}
    assert rejoin.look(ZERO) is False
    assert brokers.asked == [ZERO]


def test_a_broker_that_does_not_answer_is_left_alone(rejoin, brokers):
    assert rejoin.look(ZERO) is False
    brokers.views = {ZERO: [ZERO]}
    assert rejoin.look(ZERO) is False


def test_it_looks_when_it_starts_and_when_a_node_was_lost(rejoin, monkeypatch):
    looked = []
    monkeypatch.setattr(rejoin, "SETTLE", 0)
    monkeypatch.setattr(rejoin, "FOLLOW", ("sh", "-c", "sleep 0.2; echo down; sleep 0.2"))
    monkeypatch.setattr(rejoin, "heal", looked.append)
    rejoin.main("rabbitmq/0")
    # Who follows the log has ended here, which is said as well.
    assert looked[:2] == [ZERO, ZERO]
