"""The program that restarts a broker which a partition has left over."""

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


def status(running, partitions, members=(ZERO, ONE, TWO)):
    return {"disk_nodes": list(members), "running_nodes": list(running), "partitions": partitions}


@pytest.mark.parametrize(
    ("said", "alive", "node", "left"),
    [
        # As three nodes of RabbitMQ 4.0.5 said it for an hour.
        (status([ZERO], {ZERO: [TWO]}), {ONE, TWO}, ZERO, True),
        (status([ONE, TWO], {ONE: [ZERO], TWO: [ZERO]}), {ZERO, TWO}, ONE, False),
        # Nobody is partitioned: the others have not started yet.
        (status([ZERO], {}), {ONE, TWO}, ZERO, False),
        (status([ZERO], {ZERO: []}), {ONE, TWO}, ZERO, False),
        # Two halves.
        (status([ZERO], {ZERO: [ONE]}, (ZERO, ONE)), {ONE}, ZERO, False),
        (status([ONE], {ONE: [ZERO]}, (ZERO, ONE)), {ZERO}, ONE, True),
        # The third one is dead: two halves of those that are alive.
        (status([ZERO], {ZERO: [ONE]}), {ONE}, ZERO, False),
        (status([ONE], {ONE: [ZERO]}), {ZERO}, ONE, True),
        # The cut has come back: the other side is not there to be joined.
        (status([ZERO], {ZERO: [TWO]}), set(), ZERO, False),
    ],
)
def test_the_smaller_side_of_those_that_are_alive_is_restarted(rejoin, said, alive, node, left):
    assert rejoin.is_left_over(said, alive, node) is left


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


def test_a_broker_that_does_not_answer_is_left_alone(rejoin, monkeypatch):
    monkeypatch.setattr(rejoin.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=69, stdout=""))
    assert rejoin.look(ZERO) is False
    said = json.dumps(status([ZERO], {ZERO: [TWO]}))
    monkeypatch.setattr(rejoin.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0, stdout=said))

    def refuse(*_, **__):
        raise ConnectionRefusedError

    monkeypatch.setattr(rejoin.urllib.request, "urlopen", refuse)
    assert rejoin.look(ZERO) is False
