"""Actions and commands."""

from __future__ import annotations

import pytest

from openinfra_model.core import ModelError, actions, show

from .play import Play, Run, charm

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "default": "hi"},
        "count": {"type": "integer"},
        "who": {"type": "array"},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "few": {"type": "integer", "minimum": 0, "maximum": 5},
        "less": {"type": "number", "maximum": 2, "exclusiveMaximum": True},
        "short": {"type": "string", "maxLength": 2},
    },
    "required": ["text"],
    "additionalProperties": False,
}
APP = charm("app", actions={"echo": SCHEMA})


@pytest.fixture
def play() -> Play:
    world = Play()
    world.deploy(APP)
    world.settle()
    return world


def test_an_action_answers_with_nested_results(play):
    def echo(run: Run) -> int:
        if run.name == "echo":
            run.tool("action-log", "half way")
            run.tool("action-set", "a.b=1", "a.c=2", f"text={run.ask('action-get', 'text')}")
        return 0

    play.charm = echo
    task = play.run("app/leader", "echo")
    assert task["status"] == "completed"
    assert task["results"] == {"a": {"b": "1", "c": "2"}, "text": "hi", "return-code": 0}
    assert task["unit"] == "app/0"
    assert task["log"][0].endswith("half way")


def test_an_action_that_fails_says_why(play):
    play.charm = lambda run: run.tool("action-fail", "no good").exit_code
    assert play.run("app/0", "echo")["message"] == "no good"


def test_an_action_that_crashes_has_failed(play):
    play.charm = lambda run: 3
    task = play.run("app/0", "echo")
    assert (task["status"], task["message"], task["results"]["return-code"]) == ("failed", "exit status 3", 3)
    assert play.state.agents["app/0"].failed is None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"count": "x"}, '(root).count : must be of type integer, given "x"'),
        ({"text": 0}, "(root).text : must be of type string, given 0"),
        ({"who": ["a", "b"]}, '(root).who : must be of type array, given "[a b]"'),
        ({"nope": 1}, '(root) : additional property "nope" is not allowed, given map[nope:1 text:hi]'),
        ({"kind": "c"}, '(root).kind : must match one of the enum values ["a", "b"], given "c"'),
        ({"few": 9}, '(root).few : must be lower than 5, given "9"'),
        ({"few": -1}, '(root).few : must be greater than 0, given "-1"'),
        ({"less": 2.5}, '(root).less : must be lower than or equal to 2, given "2.5"'),
        ({"short": "abc"}, '(root).short : string length must be lower or equal to 2, given "abc"'),
    ],
)  # fmt: skip
def test_parameters_are_checked(play, parameters, message):
    """In the words of a real 4.0.14, whose `run --format json` has an `error` with no `completed`."""
    task = play.run("app/0", "echo", **parameters)
    assert task["status"] == "error"
    assert task["message"] == f'cannot run "echo" action: validation failed: {message}'
    assert "completed" not in task["timing"]
    assert play.names("app/0")[-1] == "start"


def test_actions_run_while_a_hook_is_in_error():
    world = Play(charm=lambda run: 1 if run.name == "start" else 0)
    world.deploy(APP)
    world.settle()
    assert world.run("app/0", "echo")["status"] == "completed"
    assert world.state.units["app/0"].agent.current == "error"


def test_a_waiting_task_can_be_cancelled(play):
    operation = actions.enqueue(play.state, ["app/0"], "echo", {}, play.now)
    [task] = play.state.operations[operation].tasks
    actions.cancel(play.state, task, play.now)
    play.settle()
    assert show.task(play.state, task)["status"] == "cancelled"
    assert "echo" not in play.names("app/0")
    with pytest.raises(ModelError, match="is already cancelled"):
        actions.cancel(play.state, task, play.now)


def test_a_running_task_that_is_cancelled_is_aborted(play):
    operation = actions.enqueue(play.state, ["app/0"], "echo", {}, play.now)
    [task] = play.state.operations[operation].tasks
    [run] = play.core.due(play.now)
    context = play.core.begin(run, play.now)
    actions.cancel(play.state, task, play.now)
    assert show.task(play.state, task)["status"] == "aborting"
    play.core.finish(context.id, -15, play.now)
    assert show.task(play.state, task)["status"] == "aborted"


def test_an_action_that_was_cut_off_is_not_run_twice(play):
    operation = actions.enqueue(play.state, ["app/0"], "echo", {}, play.now)
    [run] = play.core.due(play.now)
    context = play.core.begin(run, play.now)
    play.core.abandon(context.id, play.now)
    assert play.core.due(play.now) == []
    assert show.operation(play.state, operation)["status"] == "failed"


def test_a_command_has_its_output_as_results(play):
    operation = actions.enqueue_exec(play.state, ["app/0"], "echo out; exit 4", now=play.now, timeout=60)
    [run] = play.core.due(play.now)
    context = play.core.begin(run, play.now)
    assert (context.command, context.timeout, run.dispatch) == ("echo out; exit 4", 60, "")
    play.core.finish(context.id, 4, play.now, stdout="out\n")
    [task] = play.state.operations[operation].tasks
    assert show.task(play.state, task)["results"] == {"return-code": 4, "stdout": "out\n"}
    assert show.task(play.state, task)["status"] == "completed"
