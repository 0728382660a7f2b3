"""The engine on real machines runs the probes as a real Juju 4.0.15 did.

On machines the order of concurrent events is not the recording's: which unit leads, and with it who opened a port and
whose application data there is, may differ. So what must hold whatever comes first is compared: which hooks a unit runs,
the order of its first and last ones, the names of its variables, and for each tool of the same unit in the same run and
role the exit code, the error text and the shape of the output.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path

import pytest

from tests.models import model

from . import recording
from .compare import MACHINE_VARIABLES, normalised, shape
from .live import SETTLE_SECONDS, Live
from .scenarios import SCENARIOS

pytestmark = pytest.mark.skipif(
    "OPENINFRA_LIVE" not in os.environ, reason="NOT RUN: makes machines on this host; set OPENINFRA_LIVE=1"
)

PROGRAM = Path(__file__).parents[2] / "openinfra"
LXD_DIRECTORY = Path("/var/lib/openinfra/lxd")
# Hooks that depend on who leads, on what arrives together, or on a clock.
CIRCUMSTANTIAL = ("leader-elected", "secret-", "update-status", "actions/", "juju-exec")
# What the action adds on the leader.
STORAGE_OF_THE_LEADER = "data/2"
# It stays at the first hook that fails: how many of the remote units it has met until then is chance.
ENDS_IN_ERROR = ("secrets", "beta/0")
MEETING = ("-relation-joined", "-relation-changed")
# Tools whose answer depends on who leads, on what others did so far, or on the machine.
CHANGING = (
    "goal-state",
    "opened-ports",
    "open-port",
    "close-port",
    "secret-",
    "status-get",
    "relation-get",
    "relation-list",
)


def play(scenario: str, directory: Path) -> Live:
    """Play a scenario in a model of its own."""
    with model(f"conformance-{scenario}", PROGRAM, wait_timeout=SETTLE_SECONDS) as juju:
        driver = Live(scenario=scenario, juju=juju, lxd_dir=LXD_DIRECTORY, directory=directory)
        SCENARIOS[scenario](driver)
        driver.collect()
    return driver


@pytest.fixture(scope="module")
def plays(request, tmp_path_factory):
    """The scenarios that are asked for, all at once: most of a play is waiting."""
    asked = {item.callspec.params["live"] for item in request.session.items if "live" in item.fixturenames}
    with ThreadPoolExecutor(len(asked)) as pool:
        yield {
            scenario: pool.submit(play, scenario, tmp_path_factory.mktemp(scenario))
            for scenario in sorted(asked)
        }


@pytest.fixture(scope="module", params=SCENARIOS)
def live(request, plays):
    return plays[request.param].result()


@pytest.fixture(scope="module")
def recorded(live):
    return recording.load(live.scenario)


def test_views_have_the_structure_of_juju(live):
    assert live.differences == []


def test_units_run_the_hooks_of_juju(live, recorded):
    assert live.runs.keys() == recorded.keys()
    for unit, runs in recorded.items():
        expected, found = (essential(entries) for entries in (runs, live.runs[unit]))
        if (live.scenario, unit) == ENDS_IN_ERROR:
            expected, found = (
                {hook for hook in hooks if not hook[0].endswith(MEETING)} for hooks in (expected, found)
            )
        if unit.startswith("sub/"):
            # Juju 4.0.15 removed a subordinate's unit before its last hook.
            found.discard(("remove", "", "", "", "", "", "", ""))
        assert found == expected, unit


def essential(runs: list[recording.Dispatch]) -> set[tuple[str, ...]]:
    """Return which hooks ran, without those that depend on what came first."""
    return {
        run.subject
        for run in runs
        if not run.subject[0].startswith(CIRCUMSTANTIAL)
        and not is_application_change(run)
        and run.environment.get("JUJU_STORAGE_ID") != STORAGE_OF_THE_LEADER
    }


def is_application_change(run: recording.Dispatch) -> bool:
    return run.name.endswith("-relation-changed") and not run.environment["JUJU_REMOTE_UNIT"]


def test_first_hooks_come_in_the_order_of_juju(live, recorded):
    for unit, runs in recorded.items():
        assert first_kinds(live.runs[unit]) == first_kinds(runs), unit


def first_kinds(runs: list[recording.Dispatch]) -> list[str]:
    """Return the hooks up to the first start, the relations' in their order."""
    names = [run.name.removeprefix("hooks/") for run in runs]
    first = list(takewhile(lambda name: name != "start", names))
    created = sorted(name for name in first if name.endswith("-relation-created"))
    others = [name for name in first if not name.endswith("-relation-created") and name != "leader-elected"]
    return [*others, *created]


def test_the_environment_is_that_of_juju(live, recorded):
    for unit, run, expected in common_runs(live, recorded):
        names = set(run.environment) - MACHINE_VARIABLES
        assert set(expected.environment) - MACHINE_VARIABLES == names, f"{unit} {run.name}"


def test_tools_answer_as_those_of_juju(live, recorded):
    compared = 0
    for unit, run, expected in common_runs(live, recorded):
        answers = {tool.command: tool for tool in run.tools}
        for tool in expected.tools:
            if tool.command in answers and not tool.command.startswith(CHANGING):
                answer = answers[tool.command]
                compared += 1
                where = f"{unit} {run.name} {tool.command}"
                assert (answer.exit_code, normalised(answer.error)) == (
                    tool.exit_code,
                    normalised(tool.error),
                ), where
                assert shape(answer.output) == shape(tool.output), where
    assert compared > 100


def common_runs(live, recorded):
    """Yield each run that the recording has too, where the unit had the same role, once."""
    for unit, runs in live.runs.items():
        expected = {run.subject: run for run in reversed(recorded[unit])}
        for run in runs:
            other = expected.pop(run.subject, None)
            circumstantial = run.subject[0].startswith(CIRCUMSTANTIAL)
            if other and not circumstantial and is_leader(run) == is_leader(other):
                yield unit, run, other


def is_leader(run: recording.Dispatch) -> bool:
    return next(tool.output for tool in run.tools if tool.command.startswith("is-leader"))
