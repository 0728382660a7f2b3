"""What a hook costs that has nothing to do: the charm's part, the engine's part, and a hook tool's."""

import itertools
import statistics
from collections import Counter

import pytest

from openinfra_model.devtools.pack import charm_names
from tests.integration.conftest import ROOT

from .figures import Figure

ROUNDS = 9
TOOL_CALLS = 40
DEAREST = 12
"""How many kinds of hooks are named."""
HOOK_LIMIT = 2
"""For a hook that reads the whole of its model, such as config-changed."""
TOOL_LIMIT_MS = 8

AGAIN_LIMIT = 1.5
"""For the hooks of a deployment, were there nothing to do in any of them."""
AGAIN_ROUNDS = 3

TIMED_HOOK = """
begun=$EPOCHREALTIME
env {environment} ./dispatch-charm >/dev/null 2>/tmp/hook-error || {{ cat /tmp/hook-error >&2; exit 1; }}
echo "$begun $EPOCHREALTIME"
"""
TIMED_TOOL = f"""
for _ in $(seq {TOOL_CALLS}); do
    begun=$EPOCHREALTIME
    is-leader >/dev/null
    echo "$begun $EPOCHREALTIME"
done
"""


def timed_hook(name: str, *, relation: str = "", remote_unit: str = "") -> str:
    """Return a script that runs a hook of a unit and prints when it began and ended."""
    variables = {
        "JUJU_DISPATCH_PATH": name,
        "JUJU_RELATION": relation.partition(":")[0],
        "JUJU_RELATION_ID": relation,
        "JUJU_REMOTE_UNIT": remote_unit,
        "JUJU_REMOTE_APP": remote_unit.partition("/")[0],
    }
    return TIMED_HOOK.format(
        environment=" ".join(f"{key}={value}" for key, value in variables.items() if value)
    )


def durations(site, unit: str, script: str) -> list[float]:
    """Run a script that prints pairs of times on a unit; return their differences in seconds."""
    lines = site.juju.exec(script, unit=unit, wait=60).stdout.splitlines()
    return [float(ended) - float(begun) for begun, ended in (line.split() for line in lines)]


def median_hooks(site, *units: str) -> dict[str, float]:
    """Run a hook with nothing to do on each of the units in turn; return the median of each, in seconds."""
    seen = {unit: [] for unit in units}
    for _ in range(ROUNDS):
        for unit in units:
            seen[unit] += durations(site, unit, timed_hook("hooks/config-changed"))
    return {unit: statistics.median(values) for unit, values in seen.items()}


@pytest.fixture(scope="module")
def seconds_by_application(deployed, beside) -> dict[str, float]:
    """How long a hook with nothing to do takes, by turns on machines that are alike."""
    units = {hook.application: hook.unit for hook in deployed.hooks}
    medians = median_hooks(deployed.site, beside, *sorted(units.values()))
    return {unit.split("/")[0]: seconds for unit, seconds in medians.items()}


@pytest.mark.parametrize("application", charm_names(ROOT))
def test_a_hook_with_nothing_to_do(seconds_by_application, application, figures):
    figures.check(
        Figure(
            what=f"A hook of {application} with nothing to do",
            measured=seconds_by_application[application] * 1000,
            baseline=seconds_by_application["bare"] * 1000,
            of="a bare ops charm's hook in a container like it",
            unit="ms",
            budget=HOOK_LIMIT,
        )
    )


def test_the_hooks_of_a_deployment_with_nothing_to_do(deployed, beside, figures):
    """Each hook that ran is run again when all is settled: one of each kind and application, as often as it counts."""
    counts = Counter((hook.application, hook.name) for hook in deployed.hooks if is_repeatable(hook))
    examples = {(hook.application, hook.name): hook for hook in deployed.hooks if is_repeatable(hook)}
    again = {
        kind: statistics.median(
            seconds
            for _ in range(AGAIN_ROUNDS)
            for seconds in durations(
                deployed.site, hook.unit,
                timed_hook(hook.name, relation=hook.relation, remote_unit=hook.remote_unit),
            )
        )
        for kind, hook in examples.items()
    }  # fmt: skip
    bare = median_hooks(deployed.site, beside)[beside]
    cost = {kind: counts[kind] * seconds for kind, seconds in again.items()}
    dearest = sorted(cost, key=lambda kind: cost[kind] - counts[kind] * bare, reverse=True)[:DEAREST]
    figures.check(
        Figure(
            what="A hook with nothing to do, weighted by how often each ran in the deployment",
            measured=sum(cost.values()) / counts.total() * 1000,
            baseline=bare * 1000,
            of="a bare ops charm's hook in a container like it",
            unit="ms",
            budget=AGAIN_LIMIT,
            details=tuple(
                f"{application} {name}: {counts[application, name]} times {again[application, name] * 1000:.0f} ms"
                for application, name in dearest
            ),
        )
    )


def is_repeatable(hook) -> bool:
    """Return whether a hook can be run again as it was: which storage or secret it was about is not noted."""
    return "-storage-" not in hook.name and "hooks/secret-" not in hook.name


def test_a_hook_tool(deployed, beside, figures):
    figures.check(
        Figure(
            what="A hook tool, from its start to its end",
            measured=statistics.median(durations(deployed.site, beside, TIMED_TOOL)) * 1000,
            baseline=TOOL_LIMIT_MS,
            of="the limit",
            unit="ms",
            budget=1,
        )
    )


def test_the_engine_between_two_hooks(bare, figures):
    """From the end of one dispatch to the begin of the next, where a machine has several to run at once."""
    gaps = [
        later.begun - earlier.ended
        for hooks in bare.machines.values()
        for earlier, later in itertools.pairwise(hooks)
    ]
    figures.check(
        Figure(
            what="The engine between two hooks of a machine",
            measured=statistics.median(gaps) * 1000,
            baseline=statistics.median(hook.seconds for hook in bare.hooks) * 1000,
            of="a bare hook, while three machines run theirs",
            unit="ms",
            budget=1,
        )
    )
