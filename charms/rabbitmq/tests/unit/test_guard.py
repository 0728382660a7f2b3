"""The program that keeps clients off the smaller side of a partition."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).parents[2] / "src/files/rabbitmq-guard.py"


@pytest.fixture(scope="module")
def guard():
    spec: Any = importlib.util.spec_from_file_location("rabbitmq_guard", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def metrics(*hosts):
    lines = [
        "# TYPE erlang_vm_dist_node_state gauge",
        'erlang_vm_dist_node_state{peer="rabbit@rabbitmq-9"} 1',
    ]
    return "\n".join([*lines, *(f'erlang_vm_dist_node_state{{peer="rabbit@{host}"}} 3' for host in hosts)])


THREE = ["rabbitmq/0", "rabbitmq/1", "rabbitmq/2"]


@pytest.mark.parametrize(
    ("members", "hosts", "has"),
    [
        (THREE, ["rabbitmq-1", "rabbitmq-2"], True),
        (THREE, ["rabbitmq-1"], True),
        (THREE, [], False),
        # One that is to join is no member yet.
        (THREE, ["rabbitmq-3"], False),
        (THREE[:2], [], False),
        (THREE[:1], [], True),
        ([], [], True),
    ],
)
def test_a_majority_is_more_than_half_of_the_members(guard, members, hosts, has):
    assert guard.has_majority(metrics(*hosts), members, "rabbitmq/0") is has


def test_clients_are_sent_away_when_it_lasts_and_let_in_again_when_it_is_over(guard):
    assert guard.decide([False], suspended=False) == ""
    assert guard.decide([True, False], suspended=False) == ""
    assert guard.decide([False, False], suspended=False) == guard.SUSPEND
    assert guard.decide([False, False], suspended=True) == ""
    assert guard.decide([False, True], suspended=True) == ""
    assert guard.decide([True, True], suspended=True) == guard.RESUME
    assert guard.decide([True, True], suspended=False) == ""


def test_what_is_told_is_one_term_of_erlang(guard):
    assert guard.RESUME.format("{10,0,0,7}") == "ranch:resume_listener({acceptor, {10,0,0,7}, 5671})."


def test_a_broker_that_does_not_answer_is_left_alone(guard, monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise ConnectionRefusedError

    monkeypatch.setattr(guard.urllib.request, "urlopen", refuse)
    assert guard.look(str(tmp_path / "members"), "rabbitmq/0") is None
