"""The pure core answers as a real Juju 4.0.15 did.

Each recorded run is matched by what it was about; the core must offer it, give it the same environment, and answer
each tool of the probe with the same exit code, output and error text. The order of a unit's hooks must be the recorded
one, but for what Juju itself leaves open:

- relation-created hooks that follow each other come in any order (the recording's is replayed);
- the order between relations (Juju goes through them in any order, and data of one may arrive before or after another
  has its turn): hooks of each relation keep theirs;
- update-status has a random clock: only its environment is compared, and it is left out of the order;
- Juju 4.0.15 runs config-changed twice in a row for one change: the second is left out of the recording;
- Juju 4.0.15 removed a subordinate's unit together with its principal before its last hook: ours runs it.
"""

from __future__ import annotations

import dataclasses
from itertools import groupby
from typing import TYPE_CHECKING

import pytest

from openinfra_model.core import ToolResult

from . import probes, recording
from .compare import Names, Situation, compare_tool
from .replay import Replay
from .scenarios import ON_THE_CORE

if TYPE_CHECKING:
    from collections.abc import Iterable

LEFT_OPEN = ("update-status", "juju-exec")


@pytest.fixture(scope="module", params=ON_THE_CORE)
def replay(request, tmp_path_factory) -> Replay:
    archives = {name: probes.build(name, tmp_path_factory.mktemp(name)) for name in ("probe", "probesub")}
    archives["owner"] = probes.build(
        "owner", tmp_path_factory.mktemp("owner"), recording.ROOT / "owner/charm.py"
    )
    driver = Replay(scenario=request.param, archives=archives)
    ON_THE_CORE[request.param](driver)
    return driver


def canonical(runs: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return an order of hooks without what Juju leaves open."""
    ordered = [run for run in runs if run[0] not in LEFT_OPEN]
    return [run for _, group in groupby(ordered, key=kind) for run in sorted(group, key=relation)]


def kind(run: tuple[str, ...]) -> str:
    """Return which hooks may come among each other."""
    if run[0].endswith("-relation-created"):
        return "created"
    return "relation" if relation(run) else " ".join(run)


def relation(run: tuple[str, ...]) -> str:
    return run[2]


def test_answers_are_those_of_juju(replay):
    assert replay.differences == []


def test_hooks_come_in_the_order_of_juju(replay):
    for unit, runs in replay.recorded.items():
        expected = canonical(run.subject for run in runs)
        played = canonical(replay.played[unit])
        if unit.startswith("sub/") and expected[-1][0] == "stop":
            assert played.pop()[0] == "remove"
        assert played == expected


@pytest.mark.parametrize("change", [{"exit_code": 1}, {"output": ["sub/7"]}, {"error": "ERROR no"}])
def test_a_difference_would_be_seen(replay, change):
    """The comparison itself: an altered answer is noticed, the recorded one is not."""
    call = recording.ToolCall(command="relation-list --format=json", exit_code=0, output=["beta/0"], error="")
    situation = Situation(names=Names(), state=replay.state, unit="alpha/0", previous="", joining="")
    result = ToolResult(stdout='["beta/0"]\n')
    assert list(compare_tool(call, result, situation)) == []
    assert list(compare_tool(dataclasses.replace(call, **change), result, situation)) != []


def test_another_order_would_be_seen(replay):
    for unit in replay.recorded:
        assert canonical(reversed(replay.played[unit])) != canonical(replay.played[unit])
